# Two commands do everything on a machine with Python 3.11 or newer, make and pip:
#   make conformance   judge the reference, the three backends and the frameworks' own operations; writes reports/
#   make test          all tests, doctests, lint and types
# and, when you want the figures of the documents anew: make examples, make bench, make performance, make scoreboard, make kill-matrix, make mutation.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OURS := --backend numpy --backend torch --backend tensorflow --backend jax
PEERS := --peer torch-native --peer tensorflow-native --peer keras-tensorflow --peer keras-jax --peer keras-torch
PUBLISHED := ai-edge-litert diffusers dm-pix einops monai onnx onnxruntime onnxscript openvino paddlepaddle tinygrad transformers
NETWORKS := a-unet dynamic-network-architectures unet3d
FASTAI_NEEDS := cloudpickle fastcore fastdownload fastprogress fasttransform pandas plum-dispatch scikit-learn
INSTALL_BENCH = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
CHECKOUT := PYTHONPATH=.:backends:conformance

.PHONY: kill-matrix mutation conformance test format lint types gpu selftest examples bench performance peers scoreboard clean

conformance: $(INSTALLED)
	$(BIN)/subpixel conform $(OURS) $(PEERS) --json reports/conformance.json --html reports/conformance.html --junit reports/conformance.xml

test: lint types
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

selftest: $(INSTALLED)
	$(BIN)/subpixel selftest

# Train everything in docs/examples/ and write its figures, pictures and tables. One thread for torch: where other
# processes share the cores, two wait for each other. One row of eight bits needs torchao, which no test but its own asks for.
examples: export OMP_NUM_THREADS = 1
examples: export TF_CPP_MIN_LOG_LEVEL = 3
examples: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[examples,onnx,torchao]'
	$(BIN)/python docs/examples/super_resolution.py --framework all --out docs/examples/results
	$(BIN)/python docs/examples/segmentation.py --framework all --out docs/examples/results
	$(BIN)/python docs/examples/autoencoder.py --framework all --out docs/examples/results
	$(BIN)/python docs/examples/moving.py --out docs/examples/results
	$(BIN)/python docs/examples/round_trips.py --out docs/examples/results
	$(BIN)/python docs/examples/quantization.py --out docs/examples/results
	$(BIN)/python docs/examples/tables.py

# The residual U-Net against MONAI's networks, and the shift alone beside a copy and everyone else's, every pair of its grid; writes reports/.
bench: $(INSTALLED)
	$(INSTALL_BENCH)
	$(BIN)/python benchmarks/unet.py --json reports/unet-bench.json --plot reports/unet-bench.png
	$(BIN)/python benchmarks/shift.py --strength 2 --json reports/shift.json --plot reports/shift.png

# Everything in docs/performance.md anew, about half an hour: the reports in docs/evidence/, and from them the page.
performance: $(INSTALLED)
	$(INSTALL_BENCH)
	$(BIN)/python benchmarks/shift.py --json docs/evidence/shift-cpu.json --plot docs/evidence/shift-cpu.png
	$(BIN)/python benchmarks/torch_rules.py --json docs/evidence/torch-rules-cpu.json
	$(BIN)/python benchmarks/growth.py --json docs/evidence/growth-cpu.json --plot docs/evidence/growth-cpu.png
	$(BIN)/python benchmarks/layers.py --json docs/evidence/layers-cpu.json --plot docs/evidence/layers-cpu.png
	$(BIN)/python benchmarks/performance.py

# Published implementations, in an environment of their own. fastai comes without its dependencies, for it asks for torchvision, which does not
# load beside the CPU build of torch, and which what is judged here does not need; so do networks whose requirements their U-Nets do not import.
peers: .venv-peers/.installed

.venv-peers/.installed: pyproject.toml constraints.txt constraints-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --constraint constraints-peers.txt \
	  --editable '.[all]' pytest hypothesis $(PUBLISHED) $(FASTAI_NEEDS)
	.venv-peers/bin/python -m pip install --disable-pip-version-check --constraint constraints-peers.txt --no-deps fastai $(NETWORKS)
	touch $@

# Judge them, run the reproductions in docs/peers/, and write docs/evidence/scoreboard.json and from it docs/scoreboard.md.
scoreboard: export OMP_NUM_THREADS = 1
scoreboard: export TF_CPP_MIN_LOG_LEVEL = 3
scoreboard: peers
	.venv-peers/bin/python -m subpixel_conformance.scoreboard docs/evidence/scoreboard.json --out docs/scoreboard.md --judge

# From a plain checkout, nothing installed, with the Python, torch and jax that a GPU machine already has; the second also wants rich and matplotlib,
# and times einops and dm-pix where they are. It has not been run on a GPU yet.
gpu:
	$(CHECKOUT) $(PYTHON) -m subpixel_conformance conform --backend torch --backend jax --device cuda --json reports/gpu.json
	$(CHECKOUT) $(PYTHON) benchmarks/shift.py --device cuda --compiled --framework torch jax --json reports/gpu-shift.json --plot reports/gpu-shift.png
	$(CHECKOUT) $(PYTHON) benchmarks/unet.py --device cuda --no-memory --json reports/gpu-unet.json --plot reports/gpu-unet.png

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-peers .venv-mutation reports

# The suite against its mutants; writes docs/evidence/kill-matrix.json and from it docs/kill-matrix.md.
kill-matrix: $(INSTALLED)
	$(BIN)/python -m subpixel_conformance.kill_matrix docs/evidence/kill-matrix.json --out docs/kill-matrix.md --judge

# The core, changed in one place at a time: writes docs/evidence/mutation.json and from it docs/mutation.md. It takes long;
# ONLY="check.py _order.py" judges these modules and keeps the record of the others; EVERY=4 judges one change in four, MINUTES=5 as many of
# each module as fit into five minutes, SURVIVORS=1 only what survived, against tests that are new.
mutation: export OMP_NUM_THREADS = 1
mutation: export OPENBLAS_NUM_THREADS = 1
mutation: .venv-mutation/.installed
	$(CHECKOUT) .venv-mutation/bin/python -m pytest -q --disable-plugin-autoload tests/mutation/test_mutations.py
	$(CHECKOUT) .venv-mutation/bin/python -m tests.mutation.run docs/evidence/mutation.json --out docs/mutation.md $(if $(ONLY),--only $(ONLY)) \
	  $(if $(EVERY),--every $(EVERY)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SURVIVORS),--survivors)

.venv-mutation/.installed: constraints.txt constraints-mutation.txt
	$(PYTHON) -m venv .venv-mutation
	.venv-mutation/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --constraint constraints-mutation.txt \
	  cosmic-ray hypothesis ml_dtypes numpy pytest safetensors scipy
	touch $@
