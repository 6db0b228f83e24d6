"""How adapter files call the layers of networks, one file a model family."""
