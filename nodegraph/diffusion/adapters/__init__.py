"""Small files that change a network: LoRA and its kin, learned embeddings; read, matched to a network, weighed."""
