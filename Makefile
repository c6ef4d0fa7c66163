# toaststore: the build of record, by PGXS.
#
#   make, make install, make installcheck, make clean   with any PG_CONFIG=...
#   make check-unit [SAN=address,undefined]             the engine's own tests, no server needed
#
# src/sources.txt lists the sources once, for this file, meson.build and test/unit/Makefile.

MODULE_big = toaststore
EXTENSION = toaststore
DATA = toaststore--1.0.sql
PGFILEDESC = "toaststore - oversized values in a store of their own"

REGRESS = extension put_get slices layouts transactions scan_copy compression errors privileges relation_commands attachments
# A user's own settings must not change what the tests print.
REGRESS_OPTS = --inputdir=. --outputdir=.

SOURCES := $(shell sed 's/\#.*//' src/sources.txt)
ENGINE_OBJS := $(patsubst %.cpp,%.o,$(filter src/engine/%,$(SOURCES)))
SERVER_OBJS := $(patsubst %.cpp,%.o,$(filter src/postgres/%,$(SOURCES)))
OBJS = $(ENGINE_OBJS) $(SERVER_OBJS)

# PGXS links with the C compiler, which brings no C++ library.
SHLIB_LINK = -lstdc++ -llz4 -lzstd
SHLIB_EXPORTS = src/exports.txt

EXTRA_CLEAN = $(OBJS:.o=.d) src/exports.list build results output_iso tmp_check \
	regression.diffs regression.out

# No bitcode for the server's compiler of expressions: PostgreSQL 15 aborts where a function that it
# could inline calls a C++ constructor, whose symbol is an alias.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS would compile everything with the server's include path and would know no dependencies, so
# the rules are ours. An engine file that includes a server header does not compile.
WARNINGS = -Wall -Wextra -Werror -Wvla -Woverloaded-virtual \
	-Wno-missing-field-initializers
DIALECT = -std=c++20 -fno-exceptions -fno-rtti
# Assertions are for builds against a server that has its own.
ASSERTIONS := $(if $(findstring --enable-cassert,$(shell $(PG_CONFIG) --configure)),,-DNDEBUG)

ENGINE_FLAGS = $(DIALECT) $(ASSERTIONS) -fvisibility=hidden -Iinclude -Isrc
SERVER_FLAGS = $(DIALECT) $(ASSERTIONS) -fvisibility-inlines-hidden -Iinclude -Isrc \
	-isystem $(includedir_server) -D_GNU_SOURCE

# CXXFLAGS is PGXS's, with -fPIC and what the user put into COPT or PROFILE. -O2 stands before it,
# so that the user's word comes last.
COMPILE_CXX = $(CXX) -O2 $(CXXFLAGS) $(WARNINGS) -MMD -MP -c

src/engine/%.o: src/engine/%.cpp Makefile
	$(COMPILE_CXX) $(ENGINE_FLAGS) -o $@ $<
src/postgres/%.o: src/postgres/%.cpp Makefile
	$(COMPILE_CXX) $(SERVER_FLAGS) -o $@ $<

-include $(OBJS:.o=.d)

.PHONY: check-unit print-regress
check-unit:
	$(MAKE) -f test/unit/Makefile check

print-regress:
	@echo $(REGRESS)
