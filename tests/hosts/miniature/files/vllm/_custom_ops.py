from vllm import _C

assert _C.onednn() == 3
