"""Arithmetic of models and of LoRAs, tensor by tensor."""
