"""``subpixel convert``: from a model in a file, one that computes the same with sub-pixel convolutions.

`command` is the command line. `layers` is a layer of a graph, `choice` says which are replaced. `onnx_layers` finds those of an ONNX model,
`onnx_nodes` writes a sub-pixel convolution as nodes, `onnx_model` does it for a whole model, `onnx_check` runs both; `pt2_file`,
`pt2_layers`, `pt2_nodes` and `pt2_command` do so for programs of `torch.export`; `keras_model` does all of it for Keras. They run on the
inputs of `trial`, and judge within the bound of `rounding`. What is equal to what, and when, is in `subpixel_core` alone.
"""
