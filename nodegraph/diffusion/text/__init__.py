"""Tokenizers, prompt weights and chunks."""
