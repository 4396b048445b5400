# hexchat-pt. `make` alone lists what there is.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

# Debian's packages and a program or file of each, by which its presence is known.
DEMO_PROGRAMS := prosody tor tor-gencert setpriv cc
DEMO_PACKAGES := prosody tor util-linux gcc libc6-dev
TEST_PROGRAMS := $(DEMO_PROGRAMS) ejabberdctl ip tinyproxy microsocks twistd3 \
  /usr/lib/python3/dist-packages/slixmpp /usr/lib/prosody/modules/mod_sasl2
TEST_PACKAGES := $(DEMO_PACKAGES) ejabberd iproute2 tinyproxy microsocks python3-twisted python3-slixmpp \
  prosody-modules
# The package is built with the first two of them, and tried with all.
DEB_PROGRAMS := dh strip debootstrap lintian unshare
DEB_PACKAGES := debhelper binutils debootstrap lintian util-linux
BENCH_PROGRAMS := $(TEST_PROGRAMS) obfs4proxy
BENCH_PACKAGES := $(TEST_PACKAGES) obfs4proxy

.PHONY: help build documents deb check-deb check-machine static check-static check-container demo bench bench-quick bench-compare bench-doc bench-core scale siege test tests \
  portable lint deps deb-deps bench-deps demo-deps slixmpp root cargo clean

# Nothing can be built before the packages are there, also with `make -j`. Cargo uses all cores by itself.
.NOTPARALLEL:

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

build: cargo ## Build the executable for use
	$(CARGO) build --release --locked

documents: cargo ## Write the man pages and the completions of shells
	$(CARGO) run --quiet --locked --package hexchat-packaging --bin documents -- "$$($(target))/documents"

deb: deb-deps build documents ## Build Debian's package
	@folder="$$($(target))" && packaging/build-deb "$$folder/release/hexchat-pt" "$$folder/documents" "$$folder/deb"

check-deb: root deb-deps build documents ## Install, run, upgrade and purge the package in a Debian of its own (as root; minutes)
	@folder="$$($(target))" && packaging/test-deb "$$folder/release/hexchat-pt" "$$folder/documents" "$$folder/check-deb"

check-machine: check-deb ## Run the package under the systemd and the AppArmor of an emulated machine (as root; minutes)
	@.ci/install "qemu-system-x86_64 mke2fs" qemu-system-x86 e2fsprogs
	@folder="$$($(target))" && package="$$(packaging/build-deb "$$folder/release/hexchat-pt" "$$folder/documents" "$$folder/deb")" \
	  && packaging/test-machine "$$package" "$$folder/check-deb"

static: cargo ## Build one file that needs no library of the system's, with the same bytes in any folder
	@folder="$$($(target))/static" && packaging/build-static "$$folder" && echo "$$folder/hexchat-pt"

check-static: root static ## Look whether it is that, and build it again in another folder (as root; minutes)
	@.ci/install "strace unshare readelf" strace util-linux binutils
	@packaging/check-static "$$($(target))/static"

check-container: check-deb static ## Build and run the container for bridges on that Debian (as root, with podman; minutes)
	@.ci/install "podman runc" podman runc
	@folder="$$($(target))" && packaging/test-container "$$folder/static/hexchat-pt" "$$folder/check-deb"

demo: demo-deps build ## Watch Tor go through a private chat server, all on this machine
	@$(CARGO) run --quiet --locked --package hexchat-lab --bin demo -- "$$($(target))/release/hexchat-pt"

bench: bench-deps build ## Measure beside slixmpp and raw stanzas (half an hour; nothing else should run)
	@$(bench) run "$$($(target))/release/hexchat-pt" bench

bench-quick: bench-deps build ## The same with fewer and shorter rounds (eight minutes)
	@$(bench) quick "$$($(target))/release/hexchat-pt" bench/quick

bench-compare: deps build ## Measure beside an older executable, OLD=..., in turn (a quarter of an hour; nothing else should run)
	@test -x "$(OLD)" || { echo "Say which: make bench-compare OLD=path/of/hexchat-pt" >&2; exit 2; }
	@$(bench) compare "$(OLD)" "$$($(target))/release/hexchat-pt" 10

bench-doc: cargo ## Put what `make bench` found into README.md and doc/performance.md
	@$(bench) doc bench/results.json README.md doc/performance.md

bench-core: cargo ## Measure the cores and codecs alone: time and allocations of a block (minutes)
	$(CARGO) bench --package hexchat-core-bench --locked
	$(CARGO) test --release --package hexchat-core-bench --locked --test allocations -- --nocapture

scale: cargo ## Simulate a bridge with ten thousand clients (minutes)
# Memory is measured in a process of its own.
	@$(CARGO) test --quiet --locked --test scale -- --ignored --nocapture --test-threads 1 what_an_idle_session_costs
	@$(CARGO) test --quiet --locked --test scale -- --ignored --nocapture --test-threads 1 --skip what_an_idle_session_costs

siege: deps ## Let hostile clients besiege a bridge, each attack for ten minutes (two hours)
	HEXCHAT_SIEGE_SECONDS=$${HEXCHAT_SIEGE_SECONDS:-600} $(CARGO) test --locked --test siege -- --ignored --nocapture --test-threads 1

test: root ## Run everything there is to test, with real chat servers and real tor
	@.ci/totals $(MAKE) --no-print-directory tests

tests: deps lint portable
	$(CARGO) test --workspace --locked --no-fail-fast
# Clippy looks on while it is built: to check the hundreds of crates below it first would take as long again.
	HEXCHAT_PT="$$($(target))/debug/hexchat-pt" RUSTC_WORKSPACE_WRAPPER=clippy-driver $(CARGO) test --locked $(arti)

portable: deps ## Run what is built for any system: launches, logins and streams (two minutes)
# Built beside the usual one, with its dependencies; a test has to be built too, for these to be the same.
	RUSTC_WORKSPACE_WRAPPER="$(CURDIR)/.ci/portable-rustc" CARGO_BUILD_BUILD_DIR="$$($(target))" \
	  $(CARGO) build --workspace --locked --bin hexchat-pt --test layering --target-dir "$$($(target))/portable"
	HEXCHAT_PT="$$($(target))/portable/debug/hexchat-pt" \
	  $(CARGO) test --workspace --locked --test pt-spec --test forward_serve --test tor -- $(on_any_system)

lint: cargo ## Check the format, the lints and the documentation; the lints of tests/arti are part of `make test`
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
# As on a system that is not Unix; see src/os.rs.
	$(CARGO) clippy --workspace --lib --bins --examples --locked -- --cfg portable_os -D warnings
	$(CARGO) fmt --manifest-path tests/arti/Cargo.toml --check
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

deps: cargo ## Install the Debian packages that the tests need
	@.ci/install "$(TEST_PROGRAMS)" $(TEST_PACKAGES)

deb-deps: cargo
	@.ci/install "$(DEB_PROGRAMS)" $(DEB_PACKAGES)

bench-deps: cargo
	@.ci/install "$(BENCH_PROGRAMS)" $(BENCH_PACKAGES)

slixmpp: cargo ## Install slixmpp 1.17 into the folder of what is built, for `make bench` to measure beside Debian's
	python3 -m venv "$$($(target))/slixmpp-1.17"
	"$$($(target))/slixmpp-1.17/bin/pip" install --quiet 'slixmpp==1.17.*'

demo-deps: cargo
	@.ci/install "$(DEMO_PROGRAMS)" $(DEMO_PACKAGES)

root:
	$(if $(filter 0,$(shell id -u)),,$(error make $(MAKECMDGOALS) needs root; CONTRIBUTING.md lists the tests that do not))

cargo:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: install it with rustup, or set CARGO."; exit 1; }

clean: ## Remove what was built
	$(CARGO) clean

# Prints the folder in which everything is built.
target = $(CARGO) metadata --format-version 1 --no-deps --locked | sed 's|.*"target_directory":"\([^"]*\)".*|\1|'

# Optimised, so that the peers and the application beside us do not hold anything up.
bench = $(CARGO) run --quiet --locked --profile bench-run --package hexchat-bench --bin bench --

# Tests of the end-to-end suites that hold on every system: a launch, requests of Tor's, the end of standard input; logins
# and streams of both protocols, under real tor too. Others look at signals, parents, and the modes of files.
on_any_system = version:: socks:: shared_login:: row_8_it row_9_ a_cell_comes_back tor_bootstraps_and_fetches_through_prosody

# Arti is a workspace of its own; see there.
arti = --manifest-path tests/arti/Cargo.toml --target-dir "$$($(target))/arti"
