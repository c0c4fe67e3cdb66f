# deployctl: `make` builds, `make deps` installs what is missing, `make test` runs everything.
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CC ?= gcc
VERSION := 0.1.0

PACKAGES = libssh2 libgit2 inih libuv libcurl jansson libarchive libcrypto
DEBIAN_PACKAGES = gcc make pkg-config libssh2-1-dev libgit2-dev libinih-dev libcmocka-dev libuv1-dev \
	libcurl4-openssl-dev libjansson-dev libarchive-dev libssl-dev

# Asked once, at build time, so that nothing is left to find out at run time.
NEEDS_PACKAGES := $(if $(filter-out deps clean demo test lint help,$(or $(MAKECMDGOALS),all)),yes)
ifeq ($(NEEDS_PACKAGES),yes)
MISSING := $(strip $(foreach package,$(PACKAGES),$(shell pkg-config --exists $(package) 2>/dev/null || echo $(package))))
ifneq ($(MISSING),)
$(error missing: $(MISSING); install with: sudo make deps)
endif
endif

WARNINGS = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
SANITIZE ?=
OPTIMIZE ?= -O2
CPPFLAGS += -Iinclude -I$(BUILD)/include -D_GNU_SOURCE -DDEPLOYCTL_VERSION='"$(VERSION)"'
CFLAGS += -std=gnu11 -g $(OPTIMIZE) $(WARNINGS) -fstack-protector-strong -D_FORTIFY_SOURCE=$(if $(SANITIZE),0,2) $(SANITIZE)
ifeq ($(NEEDS_PACKAGES),yes)
CPPFLAGS += $(shell pkg-config --cflags $(PACKAGES))
LDLIBS += $(shell pkg-config --libs $(PACKAGES))
endif
LDFLAGS += $(SANITIZE) -Wl,--as-needed -Wl,-z,relro,-z,now

SOURCES := $(wildcard src/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/node_program.o
COMMANDS := $(wildcard cmd/*.c)
COMMAND_OBJECTS := $(COMMANDS:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libdeployctl.a
PROGRAM := $(BUILD)/deployctl
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
PROPERTY_TESTS := $(patsubst tests/property/%.c,$(BUILD)/property/%,$(wildcard tests/property/test_*.c))
SCENARIO_RUNNER := $(patsubst tests/scenario/%.c,$(BUILD)/scenario/%,$(wildcard tests/scenario/*.c))

all: $(PROGRAM)

$(PROGRAM): $(COMMAND_OBJECTS) $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The node's program travels inside the binary: its bytes become a C array.
$(BUILD)/node_program.c: src/node/node.sh src/node/embed.sh
	@mkdir -p $(@D)
	sh src/node/embed.sh src/node/node.sh > $@.part && mv $@.part $@
$(BUILD)/node_program.o: $(BUILD)/node_program.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))
$(BUILD)/unit/%: tests/unit/%.c $(TEST_SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/support $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(TEST_SUPPORT) $(LIBRARY) $(LDLIBS) -lcmocka
$(BUILD)/property/%: tests/property/%.c $(TEST_SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/support $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(TEST_SUPPORT) $(LIBRARY) $(LDLIBS) -lcmocka
$(BUILD)/scenario/%: tests/scenario/%.c $(TEST_SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/support $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(TEST_SUPPORT) $(LIBRARY) $(LDLIBS) -lcmocka

unit: $(UNIT_TESTS)
	@failed=; for test in $(UNIT_TESTS); do $$test || failed="$$failed $$test"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

clean:
	rm -rf $(BUILD)/src $(BUILD)/cmd $(BUILD)/tests $(BUILD)/unit $(BUILD)/property $(BUILD)/scenario $(BUILD)/*.o $(BUILD)/*.a $(BUILD)/deployctl $(BUILD)/node_program.c

-include $(OBJECTS:.o=.d) $(COMMAND_OBJECTS:.o=.d)
.PHONY: all unit clean
.SECONDARY:
