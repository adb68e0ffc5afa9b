# Everyday jobs. Variables: BASE DATA CACHE HEAD LEARNING_RATE GRID PLAN FORMAT OUT WEIGHTS ALPHA LAYER POOLING INPUT_SIZE PREPROCESS
# IMAGE PICTURE, and ARGS for any other flag. A variable reaches the command as it is given, a dollar or a quote in it too.
#   make features train-head BASE=xception DATA=~/pictures
BASE ?= xception-mini
DATA ?= data/sample
CACHE ?= cache
HEAD ?=
PICTURE ?= data/sample/val/ok/150.jpg
GRID ?= learning-rate=1e-4,1e-3,1e-2 l2=0,1e-4,1e-2
ARGS ?=
LEARNING_RATE ?=

SOURCES := $(shell find src pipeline test bench -name '*.ts' 2>/dev/null) package.json tsconfig.json
PERMAFROST := node dist/pipeline/cli.js
# What a variable was given, unexpanded, as one word of the shell.
quoted = '$(subst ','\'',$(value $(1)))'
flag = $(if $(value $(1)),--$(2) $(call quoted,$(1)))
IMAGES = $(call flag,DATA,data) $(call flag,CACHE,cache)
BASE_FLAGS = $(call flag,BASE,base) $(call flag,WEIGHTS,weights) $(call flag,ALPHA,alpha) $(call flag,LAYER,layer) \
	$(call flag,POOLING,pooling) $(call flag,INPUT_SIZE,input-size) $(call flag,PREPROCESS,preprocess) $(call flag,IMAGE,image)

PICTURES = $(if $(filter-out file,$(origin PICTURE)),$(call quoted,PICTURE),$(call quoted,DATA))

.PHONY: features train-head train-heads sweep predict evaluate report export maps sample data test test-tensorflow test-python bench build clean
.DELETE_ON_ERROR:

features: build data
	$(PERMAFROST) features $(IMAGES) $(BASE_FLAGS) $(ARGS)

train-head: build data
	$(PERMAFROST) train $(IMAGES) $(BASE_FLAGS) $(call flag,HEAD,name) \
		$(call flag,LEARNING_RATE,learning-rate) $(ARGS)

# make train-heads PLAN=heads.yaml: run again, it trains what is new or changed.
train-heads: build data
	$(PERMAFROST) train $(IMAGES) $(BASE_FLAGS) $(call flag,PLAN,plan) $(ARGS)

# make evaluate HEAD=name DATA=~/labelled: a head on labelled images.
evaluate: build data
	$(PERMAFROST) evaluate $(call flag,CACHE,cache) $(call flag,HEAD,head) $(ARGS) -- $(call quoted,DATA)

# make predict HEAD=name: of PICTURE=, or of all of DATA=; into a file with OUT=.
predict: build data
	$(PERMAFROST) predict $(call flag,CACHE,cache) $(call flag,HEAD,head) $(call flag,FORMAT,format) $(call flag,OUT,out) $(ARGS) -- $(PICTURES)

# make report HEAD=name, of a head or a sweep, or PLAN=heads.yaml: one page about it, measured on DATA=; into OUT=, else report.html.
report: build data
	$(PERMAFROST) report $(IMAGES) $(call flag,OUT,out) $(ARGS) -- $(if $(value PLAN),$(call quoted,PLAN),$(if $(value HEAD),$(call quoted,HEAD)))

sweep: build data
	$(PERMAFROST) sweep $(IMAGES) $(BASE_FLAGS) $(call flag,HEAD,name) --grid $(GRID) $(ARGS)

# PICTURE= names the image whose feature maps are drawn, into maps.png.
maps: build data
	$(PERMAFROST) maps $(BASE_FLAGS) $(ARGS) -- $(call quoted,PICTURE)

# make export HEAD=name FORMAT=keras OUT=head.keras, base and head in one model with ARGS=--with-base
export: build
	$(PERMAFROST) export $(call flag,CACHE,cache) $(call flag,HEAD,head) $(call flag,FORMAT,format) $(call flag,OUT,out) $(ARGS)

# Without DATA= the sample is drawn where it is missing.
data: build
ifeq ($(value DATA),data/sample)
	@test -f data/sample/.sample.json || $(PERMAFROST) sample
endif

sample: build
	$(PERMAFROST) sample $(ARGS)

test:
	npm test

# What both engines must compute, on TensorFlow itself: set up from Python's wheel where tfjs-node could not download it.
test-tensorflow: build
	test/native-tensorflow
	NODE_PATH="$(CURDIR)/build/tensorflow/node_modules" PERMAFROST_NATIVE_TENSORFLOW=1 node --test dist/test/engine/*.test.js dist/test/train/both-engines.test.js dist/test/extract/golden.test.js

# python/, with Spark, Ray and Daft: 1.3 GB into build/cluster the first time. Spark needs Java 17 or later.
test-python: build build/cluster/installed
	cd python && ../build/cluster/bin/ruff check && ../build/cluster/bin/ruff format --check
	cd python && ../build/cluster/bin/mypy
	build/cluster/bin/python -m pytest python

build/cluster/installed: python/requirements.txt python/pyproject.toml
	test -x build/cluster/bin/python || python3 -m venv build/cluster
	build/cluster/bin/python -m pip install --quiet --disable-pip-version-check -r python/requirements.txt -e ./python
	@touch $@

# Against peers, into docs/speed.md: PYTHON= names a Python with bench/requirements.txt. QUICK=1 takes three minutes, AGAINST= another checkout.
bench: build
	node dist/bench/all.js

build: dist/.built

dist/.built: $(SOURCES) node_modules/.package-lock.json
	npx --no-install tsc
	@touch $@

node_modules/.package-lock.json: package-lock.json
	npm ci

clean:
	rm -rf dist
