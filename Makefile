# deployctl. `make` builds build/deployctl, `make demo` shows it, `make check` and `make test` prove it; `make help` lists the rest.
VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CFLAGS ?= -O2 -g
SECONDS ?= 60
ifeq ($(origin CC),default)
CC := gcc
endif
MAKEFLAGS += --no-print-directory

# pkg-config's name, then Debian's.
LIBRARIES := libssh2:libssh2-1-dev libgit2:libgit2-dev inih:libinih-dev libuv:libuv1-dev libcurl:libcurl4-openssl-dev \
	jansson:libjansson-dev libarchive:libarchive-dev libcrypto:libssl-dev
PACKAGES := $(foreach pair,$(LIBRARIES),$(firstword $(subst :, ,$(pair))))

# Debian's names of what else is wanted, and for what.
BUILD_DEBIAN := gcc libc6-dev pkg-config $(foreach pair,$(LIBRARIES),$(lastword $(subst :, ,$(pair))))
DEMO_DEBIAN := git openssh-server openssh-client busybox
TEST_DEBIAN := $(DEMO_DEBIAN) libcmocka-dev dash curl haproxy nginx-light zstd procps ansible-core bash-completion zsh fish r-base-core \
	etcd-server etcd-client prometheus openssl patch
LINT_DEBIAN := clang cppcheck shellcheck mandoc
FUZZ_DEBIAN := clang libclang-rt-14-dev
LAB_DEBIAN := mmdebstrap systemd-container gpg iproute2 openssh-client util-linux git
BENCH_DEBIAN := $(DEMO_DEBIAN) time pdsh clustershell ansible-core

# Asked once, at build time, so that nothing is left to find out at run time. The goals named here compile nothing
# themselves: they install what is missing first, or need nothing.
WITHOUT_COMPILER := help deps deps-bench clean demo check test soak zero-loss lab san san-worlds fuzz valgrind bench uninstall
ifneq ($(filter-out $(WITHOUT_COMPILER),$(or $(MAKECMDGOALS),all)),)
MISSING := $(strip $(if $(shell command -v $(firstword $(CC))),,$(firstword $(CC)):$(firstword $(CC))) \
	$(if $(shell command -v pkg-config),,pkg-config:pkg-config) \
	$(foreach pair,$(LIBRARIES),$(shell pkg-config --exists $(firstword $(subst :, ,$(pair))) 2>/dev/null || echo $(pair))))
ifneq ($(MISSING),)
$(info missing: $(foreach pair,$(MISSING),$(firstword $(subst :, ,$(pair)))))
$(info install it with: sudo apt-get install $(foreach pair,$(MISSING),$(lastword $(subst :, ,$(pair)))))
$(error or let `make deps` do it)
endif
LIBRARY_CPPFLAGS := $(shell pkg-config --cflags $(PACKAGES))
LIBRARY_LDLIBS := $(shell pkg-config --libs $(PACKAGES))
endif

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
SANITIZE ?=
HARDEN := -fstack-protector-strong $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
COMPILE = $(CC) -std=gnu11 -Iinclude -Itests/support -D_GNU_SOURCE -DDEPLOYCTL_VERSION='"$(VERSION)"' \
	$(LIBRARY_CPPFLAGS) $(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
LINK = $(CC) $(CFLAGS) $(SANITIZE) -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)
LINK_LIBRARIES = $(LIBRARY_LDLIBS) -lm $(LDLIBS)
quiet = $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
show = $(if $(or $(V),$(quiet)),,@echo '  $1 $2'; )

# Sources are found by wildcard: a new file needs no edit here.
LIBRARY := $(BUILD)/libdeployctl.a
PROGRAM := $(BUILD)/deployctl
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/*/*.c)) $(BUILD)/node_program.o
COMMAND_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/*.c))
SUPPORT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))
programs_in = $(patsubst tests/$1/%.c,$(BUILD)/$1/%,$(wildcard tests/$1/$2*.c))
unit_programs := $(call programs_in,unit,test_)
property_programs := $(call programs_in,property,test_)
scenario_programs := $(call programs_in,scenario,)
fuzz_programs := $(call programs_in,fuzz,fuzz_)
bench_programs := $(call programs_in,bench,)
simulator_programs := $(call programs_in,simulator,test_)
SIMULATOR_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/simulator/test_%,$(wildcard tests/simulator/*.c))) \
	$(BUILD)/tests/support/parsed.o
test_programs := $(unit_programs) $(property_programs) $(scenario_programs)

all: $(PROGRAM)

$(PROGRAM): $(COMMAND_OBJECTS) $(LIBRARY)
	$(call show,link,$@)$(LINK) -o $@ $^ $(LINK_LIBRARIES)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

# Everything is compiled again when the compiler or a flag changes.
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(COMPILE))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(COMPILE))' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,cc,$<)$(COMPILE) -MMD -MP -c -o $@ $<

# The node's program travels inside the binary: its bytes become a C array.
$(BUILD)/node_program.c: src/node/node.sh src/node/embed.sh
	@mkdir -p $(@D)
	@sh src/node/embed.sh src/node/node.sh >$@.part && mv $@.part $@
$(BUILD)/node_program.o: $(BUILD)/node_program.c $(BUILD)/flags
	$(call show,cc,$<)$(COMPILE) -c -o $@ $<

# One program a test file. No two of them share more than tests/support.
define test_program
$(BUILD)/$1/%: tests/$1/%.c $(SUPPORT_OBJECTS) $(LIBRARY) $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call show,cc,$$<)$$(COMPILE) -MMD -MP -MF $$@.d $$(LDFLAGS) -o $$@ $$< $(SUPPORT_OBJECTS) $(LIBRARY) $$(LINK_LIBRARIES) $2
endef
$(foreach kind,unit property scenario,$(eval $(call test_program,$(kind),-lcmocka)))
$(eval $(call test_program,fuzz,-fsanitize=fuzzer))
$(eval $(call test_program,bench))

# Its objects come before the library: the first definition counts, so that they stand in for its clock, network and files.
$(BUILD)/simulator/%: tests/simulator/%.c $(SIMULATOR_OBJECTS) $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call show,cc,$<)$(COMPILE) -MMD -MP -MF $@.d $(LDFLAGS) -Wl,--allow-multiple-definition \
		-o $@ $< $(SIMULATOR_OBJECTS) $(LIBRARY) $(LINK_LIBRARIES)

sum_programs = tests/checks/sum -j $(shell nproc) -by tests/checks/program
unit: $(unit_programs)
property: $(property_programs)
scenario: $(scenario_programs)
unit property scenario:
	@$(sum_programs) $($@_programs)

simulator: $(simulator_programs)
	@tests/simulator/worlds
worlds: $(simulator_programs)
	@tests/simulator/worlds $(SECONDS)
mutants: all programs
	@tests/mutants/run

# What ends a suite with everything that it started.
build/checks/reap: tests/checks/reap.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARNINGS) -o $@ $<

# What follows installs what is missing, then calls make again for what must be compiled.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
deps:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN) $(LINT_DEBIAN) $(FUZZ_DEBIAN) valgrind $(LAB_DEBIAN)
deps-bench:
	@tests/checks/deps $(BUILD_DEBIAN) $(BENCH_DEBIAN)

# The lab is for root alone.
IF_ROOT = $(if $(filter 0,$(shell id -u)),$1)
SUITE = $(MAKE) -s build/checks/reap && exec build/checks/reap -f 'tests/e2e/lab end' tests/checks/suite $@
check:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN) $(LINT_DEBIAN)
	@$(SUITE)
test:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN) $(LINT_DEBIAN) $(FUZZ_DEBIAN) $(call IF_ROOT,$(LAB_DEBIAN))
	@$(SUITE)
soak:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN) $(FUZZ_DEBIAN)
	@FUZZ_SECONDS=$(if $(filter file,$(origin SECONDS)),180,$(SECONDS)) $(SUITE)

demo:
	@tests/checks/deps $(BUILD_DEBIAN) $(DEMO_DEBIAN)
	@$(MAKE) -s $(PARALLEL)
	@tests/demo/demo

lint:
	@tests/checks/deps $(BUILD_DEBIAN) $(LINT_DEBIAN)
	@$(MAKE) -s $(PARALLEL)
	@tests/checks/lint

SAN_FLAGS = BUILD=build/san CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all'
# The programs that read foreign bytes or manage memory; SAN_PROGRAMS=all: also the properties.
SAN_PROGRAMS ?= some
san_programs = $(unit_programs) $(scenario_programs) $(if $(filter all,$(SAN_PROGRAMS)),$(property_programs))
san:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN)
	@$(MAKE) -s $(PARALLEL) $(SAN_FLAGS) $(san_programs:$(BUILD)/%=build/san/%)
	@$(sum_programs) $(san_programs:$(BUILD)/%=build/san/%)

san-worlds:
	@$(MAKE) -s $(PARALLEL) $(SAN_FLAGS) $(simulator_programs:$(BUILD)/%=build/san/%)
	@BUILD=build/san tests/simulator/worlds

valgrind:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN) valgrind
	@$(MAKE) -s $(PARALLEL) programs
	@tests/checks/sum -j $(shell nproc) -by "tests/checks/program --valgrind" $(unit_programs)

FUZZ_FLAGS = BUILD=build/fuzz CC=clang CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
fuzz:
	@tests/checks/deps $(BUILD_DEBIAN) $(FUZZ_DEBIAN)
	@$(MAKE) -s $(PARALLEL) $(FUZZ_FLAGS) fuzz-programs
	@tests/checks/fuzz $(SECONDS) $(fuzz_programs:$(BUILD)/%=build/fuzz/%)

# Every test program, built and not run; the fuzz targets; the bare client to measure against.
programs: $(test_programs) $(simulator_programs)
world-programs: $(property_programs) $(simulator_programs) $(scenario_programs)
fuzz-programs: $(fuzz_programs)
bench-programs: $(bench_programs)

bench:
	@tests/checks/deps $(BUILD_DEBIAN) $(DEMO_DEBIAN)
	@$(MAKE) -s $(PARALLEL) all bench-programs
	@tests/bench/bench

zero-loss:
	@tests/checks/deps $(BUILD_DEBIAN) $(TEST_DEBIAN)
	@$(MAKE) -s $(PARALLEL) all bench-programs
	@REQUESTS=$(or $(REQUESTS),200000) tests/e2e/zero_loss

lab:
	@tests/checks/deps $(LAB_DEBIAN)
	@tests/lab/lab up 6

MANUALS = $(wildcard src/manual/*.[1-9])
SHARE = $(DESTDIR)$(PREFIX)/share
BASH_COMPLETION = $(SHARE)/bash-completion/completions/deployctl
ZSH_COMPLETION = $(SHARE)/zsh/site-functions/_deployctl
FISH_COMPLETION = $(SHARE)/fish/vendor_completions.d/deployctl.fish

install: $(PROGRAM)
	install -D -m 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/deployctl
	@for page in $(MANUALS); do \
		install -D -m 0644 -v $$page $(SHARE)/man/man$${page##*.}/$${page##*/} || exit 1; done
	@mkdir -p $(dir $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION))
	$(PROGRAM) completion bash >$(BASH_COMPLETION)
	$(PROGRAM) completion zsh >$(ZSH_COMPLETION)
	$(PROGRAM) completion fish >$(FISH_COMPLETION)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/deployctl $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)
	rm -f $(foreach page,$(MANUALS),$(SHARE)/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# The lab's cached root file system stays: it takes a minute to make. `rm -rf build` (after `lab down`) is the whole of it.
clean:
	@if [ -d build/lab/hosts ]; then echo "the lab is up; end it first with: tests/lab/lab down" >&2; exit 1; fi
	[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} +

help:
	@sed -n 's/^# help: //p' Makefile
# help: make                 build build/deployctl (CC=clang, CFLAGS=, BUILD=DIR; V=1 shows the commands)
# help: make deps            install what building and testing need (apt-get; as root or through sudo)
# help: make demo            four local nodes, two rollouts, a bad release that goes back by itself; under a minute
# help: make check           the loop while you work: build, unit, property and scenario tests, 10,000 worlds, lint of what changed; under 2 minutes
# help: make test            what a release needs, on real servers and six hosts; at most 20 minutes; the last line counts it
# help: make soak SECONDS=180 the long versions, for hours: every kill point, 1,000 races, 1,000,000 worlds, 200,000 requests a case, fuzz
# help: make unit            unit tests; so property, scenario
# help: make simulator       100,000 random worlds: the real engine over simulated nodes, in virtual time
# help: make worlds SECONDS=60 the same for that long, from a new seed
# help: make mutants         deliberate faults, tests/mutants/*.patch, each found by the tests that it names
# help: make lint            static checks: layers, purity, cppcheck, shellcheck and more
# help: make san             unit tests and scenarios under AddressSanitizer and UndefinedBehaviorSanitizer (SAN_PROGRAMS=all: every program)
# help: make valgrind        unit tests under valgrind
# help: make fuzz SECONDS=60 fuzz each parser for that long, two at a time (clang)
# help: make bench           how much the client costs, beside bare libssh2, pdsh, clush and ansible
# help: make zero-loss REQUESTS=200000  so many requests in each change behind each balancer: how many were lost
# help: make lab             boot six real hosts on this machine (root); tests/lab/lab help
# help: make install         binary, manual, completions (DESTDIR, PREFIX); make uninstall
# help: make clean           remove what was built

-include $(OBJECTS:.o=.d) $(COMMAND_OBJECTS:.o=.d) $(SUPPORT_OBJECTS:.o=.d)
-include $(SIMULATOR_OBJECTS:.o=.d) $(patsubst %,%.d,$(simulator_programs) $(test_programs) $(fuzz_programs) $(bench_programs))
.PHONY: all always unit property scenario simulator worlds mutants deps deps-bench check test soak demo lint san san-worlds valgrind fuzz programs world-programs fuzz-programs \
	bench bench-programs zero-loss lab install uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:
