"""How the files of model families name their tensors, one file a family."""
