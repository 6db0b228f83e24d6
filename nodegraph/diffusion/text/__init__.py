"""From a prompt to what a network is conditioned on: tokenizer, prompt weights, chunks, encoding."""
