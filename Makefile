# relayd: two commands on a fresh machine are "make check" and "make lab".
#
#   make            build/relayd, build/relayctl
#   make deps       install what is missing to build (Debian 12)
#   make check      deps, build, every test
#   make lab        deps, build, the story that relayd was written for
#   make help       the other targets
#
# Sources are found, not listed: conf/*.c queue/*.c mta/PART/*.c make the
# library, mta/main.c and mta/relayctl.c the programs, tests/unit/**/test_*.c
# one program each.  A test that wants a fake in place of the real object says
# so in a line of its own, "// LINK-FAKE: clock" (tests/fake/clock.c).
#
# SAN=1 builds under build/san with the address and undefined sanitizers,
# WERROR=1 makes warnings errors.

CC	= gcc
SAN	=
WERROR	=
PREFIX	= /usr
SYSCONFDIR = /etc
DESTDIR	=
TOP	= build
O	= $(TOP)$(if $(SAN),/san)

# Asked for when a compiler runs, not when this file is read: "make deps"
# must work before pkg-config is there.  Each is asked once.
PKGS	= libevent libcares openssl libconfig
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
CHECK_CFLAGS = $(eval CHECK_CFLAGS := $$(shell pkg-config --cflags check))$(CHECK_CFLAGS)
CHECK_LIBS = $(eval CHECK_LIBS := $$(shell pkg-config --libs check))$(CHECK_LIBS)

OPT	= -O2 -g
HARDEN	= $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
SANITIZE = -fsanitize=address,undefined -fno-omit-frame-pointer
SANFLAGS = $(if $(SAN),$(SANITIZE))
CFLAGS	= $(OPT)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Wall -Wextra $(if $(WERROR),-Werror) \
	-I. $(CFLAGS) $(HARDEN) $(SANFLAGS) $(EXTRA_CFLAGS) -pthread -MMD -MP
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SANFLAGS) $(EXTRA_LDFLAGS) $(LDFLAGS) \
	-pthread

LIB_SRC	:= $(sort $(wildcard conf/*.c queue/*.c mta/*/*.c))
FAKE_SRC := $(sort $(wildcard tests/fake/*.c))
UNIT_SRC := $(sort $(shell find tests/unit -name 'test_*.c' 2>/dev/null))
PART_LIB_SRC := $(sort $(wildcard tests/lab/lib/*.c))
PART_SRC := $(sort $(wildcard tests/lab/*.c tests/bench/*.c))
LAB_SRC	:= $(filter tests/lab/%,$(PART_SRC))
BENCH_SRC := $(filter tests/bench/%,$(PART_SRC))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
CRASH_SRC := $(sort $(wildcard tests/crash/*.c)) tests/fake/clock.c

obj	= $(patsubst %.c,$(O)/obj/%.o,$(1))
prog	= $(patsubst %.c,$(O)/%,$(1))

LIB	= $(O)/librelayd.a
PROGS	= $(O)/relayd $(if $(wildcard mta/relayctl.c),$(O)/relayctl)
UNITS	= $(call prog,$(UNIT_SRC))
LABS	= $(call prog,$(LAB_SRC))
BENCHES	= $(call prog,$(BENCH_SRC))
SIMULATOR = $(O)/tests/crash/crash

.PHONY: all build tests deps check check-run lab lab-run lab-shell bench \
	bench-run crash fuzz install format arrows docs-check clean help
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: build
build: $(PROGS)
tests: $(UNITS) $(LABS) $(BENCHES) $(SIMULATOR)

# ---- what is built ----

$(O)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) $(if $(filter tests/unit/%,$<),$(CHECK_CFLAGS)) \
	    -c -o $@ $<

# Made anew: an archive would keep the objects of sources that are gone.
$(LIB): $(call obj,$(LIB_SRC))
	@mkdir -p $(@D)
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $^

define link
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(1) $(LIB) $(PKG_LIBS) $(2)
endef

$(O)/relayd: $(O)/obj/mta/main.o $(LIB)
	$(call link,$<)

$(O)/relayctl: $(O)/obj/mta/relayctl.o $(LIB)
	$(call link,$<)

fakes_of = $(patsubst %,$(O)/obj/tests/fake/%.o,$(shell \
	sed -n 's,^// LINK-FAKE:,,p' $(1)))

$(UNITS): $(O)/tests/unit/%: $(O)/obj/tests/unit/%.o $(call obj,$(FAKE_SRC)) $(LIB)
	$(call link,$< $(call fakes_of,tests/unit/$*.c),$(CHECK_LIBS))

$(LABS) $(BENCHES): $(O)/tests/%: $(O)/obj/tests/%.o $(call obj,$(PART_LIB_SRC)) $(LIB)
	$(call link,$< $(call obj,$(PART_LIB_SRC)))

# Its objects stand in place of those of the library that they replace.
$(SIMULATOR): $(call obj,$(CRASH_SRC)) $(LIB)
	$(call link,$(call obj,$(CRASH_SRC)))

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# ---- what is run ----
# Each asks for its tools first and then starts make anew, because the tools
# (pkg-config, compilers) may have come only now.

deps:
	@sh init/deps.sh

check: deps
	@$(MAKE) --no-print-directory check-run

lab: deps
	@$(MAKE) --no-print-directory lab-run

lab-shell: deps
	@$(MAKE) --no-print-directory build $(LABS)
	@tests/lab/lab.py --shell

bench: deps
	@$(MAKE) --no-print-directory bench-run

check-run: build tests
	@sh tests/tools/run_unit.sh $(UNITS)
	@$(SIMULATOR) $(CRASH_SHORT)
	@if [ -x tests/e2e/run.py ]; then tests/e2e/run.py --build $(O); fi
	@$(MAKE) --no-print-directory arrows docs-check

arrows:
	@python3 tests/tools/arrows.py

docs-check:
	@if [ -e tests/tools/docs_check.py ]; then python3 tests/tools/docs_check.py; fi

lab-run: build $(LABS)
	@tests/lab/lab.py

# BENCH="--size 65536 --connections 5,100" and the like: tests/bench/README.md
bench-run: build $(LABS) $(BENCHES)
	@tests/bench/bench.py --build $(O) $(BENCH)

# CRASH="--count 100000 --seed 7", or --image K of a seed again: tests/crash/README.md
CRASH	= --count 100000
CRASH_SHORT = --count 4000
crash: $(SIMULATOR)
	@$(SIMULATOR) $(CRASH)

# Each fuzz target for a minute, from its seeds (tests/fuzz/seeds/NAME).
FUZZ_S	= 60
FUZZ_FLAGS = -fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer
fuzz:
	@if [ -z "$(FUZZ_SRC)" ]; then echo "no fuzz targets"; exit 0; fi; \
	command -v clang >/dev/null || { echo "fuzz: clang is missing" >&2; exit 1; }; \
	$(MAKE) --no-print-directory TOP=$(TOP)/fuzz CC=clang SAN= \
	    EXTRA_CFLAGS="$(FUZZ_FLAGS)" HARDEN=-fPIE fuzz-run

FUZZERS	= $(patsubst tests/fuzz/%.c,$(O)/%,$(FUZZ_SRC))
.PHONY: fuzz-run
fuzz-run: $(FUZZERS)
	@for f in $(FUZZERS); do \
		n=$$(basename $$f); mkdir -p $(O)/corpus/$$n; \
		s=tests/fuzz/seeds/$$n; [ -d $$s ] || s=; \
		echo "== $$n"; \
		$$f -max_total_time=$(FUZZ_S) -print_final_stats=1 \
		    -artifact_prefix=$(O)/$$n- $(O)/corpus/$$n $$s || exit 1; \
	done

$(O)/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) -pie -fsanitize=fuzzer,address -pthread -o $@ $< $(LIB) $(PKG_LIBS)

# ---- the rest ----

install: build
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(O)/relayd $(DESTDIR)$(PREFIX)/sbin/relayd
	if [ -e $(O)/relayctl ]; then \
		install -m 755 $(O)/relayctl $(DESTDIR)$(PREFIX)/bin/relayctl; fi
	install -d $(DESTDIR)$(SYSCONFDIR)/relayd
	if [ -e conf/relayd.conf ] && [ ! -e $(DESTDIR)$(SYSCONFDIR)/relayd/relayd.conf ]; then \
		install -m 644 conf/relayd.conf $(DESTDIR)$(SYSCONFDIR)/relayd/relayd.conf; fi
	for f in $(wildcard init/*.service init/*.socket); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$f); done
	for f in $(wildcard init/sysusers.d/*.conf init/sysusers.conf); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/lib/sysusers.d/relayd.conf; done
	for f in $(wildcard init/tmpfiles.d/*.conf init/tmpfiles.conf); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/relayd.conf; done
	for f in $(wildcard init/man/*.[1-8] init/*.[1-8]); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/$$(basename $$f); done

format:
	clang-format -i $(wildcard conf/*.[ch] queue/*.[ch] mta/*.[ch] mta/*/*.[ch]) \
	    $(wildcard tests/*/*.[ch] tests/*/*/*.[ch])

clean:
	rm -rf $(TOP)

help:
	@echo "all build tests deps check lab lab-shell bench crash fuzz install format"
	@echo "arrows docs-check clean      SAN=1  WERROR=1  CC=clang"
