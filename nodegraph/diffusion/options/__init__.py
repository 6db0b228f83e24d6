"""What acts inside a denoising network while it samples: values that a model carries, put on by hooks."""
