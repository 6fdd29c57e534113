"""The same work on many machines: Ray and torchrun schedule it, and every answer is that of one process."""
