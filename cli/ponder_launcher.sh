#!/bin/sh
# bin/ponder of an install tree: finds LibTorch, which the tree does not hold,
# and starts the program. LibTorch is the folder `torch` of PyPI's wheel
# torch==2.11.0: PONDER_TORCH if that is set, else where scripts/setup puts it,
# else the one that python3 imports.
here=$(dirname "$(readlink -f "$0")")
torch=${PONDER_TORCH:-}
if [ -z "$torch" ]; then
  torch=${PONDER_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/ponder}/torch-@PONDER_TORCH_VERSION@/torch
  if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
    torch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null)
  fi
fi
if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
  echo "ponder: LibTorch is not in '$torch'; install it (pip install torch==@PONDER_TORCH_VERSION@) and set PONDER_TORCH to its folder torch, which has lib/libtorch_cpu.so" >&2
  exit 1
fi
# libtorch_cpu.so needs two CUDA libraries, also where there is no GPU.
site=$(dirname "$torch")
path=$torch/lib
for folder in "$site/nvidia/cu13/lib" /usr/local/cuda/lib64 /usr/local/cuda/extras/CUPTI/lib64; do
  [ ! -d "$folder" ] || path=$path:$folder
done
LD_LIBRARY_PATH=$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/../@CMAKE_INSTALL_LIBEXECDIR@/ponder/$(basename "$0")" "$@"
