"""The two small demo checkpoints, with the renderer and the scripts they came from.

`sidelight-demo-sdxl` and `sidelight-demo-flux` are what those scripts trained; `portraits.py` drew the pictures,
`training/` trained and measures. They let everything run on a CPU without a download: real pipelines, real text
encoders, light and skin that follow the prompt. They are no measure of what SDXL or FLUX can do. Knows nothing about
recipes; importing it loads nothing.
"""
