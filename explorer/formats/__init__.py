"""How designs come and go: Hugging Face, Megatron-LM, torchtitan, nanoGPT."""

from explorer.formats.huggingface import model_types, read

__all__ = ["model_types", "read"]
