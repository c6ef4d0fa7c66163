# toaststore: the build of record, by PGXS.
#
#   make, make install, make installcheck, make clean   with any PG_CONFIG=...
#
# gives the server's toaststore.so and, for use without a server, build/libtoaststore.a and
# build/toaststorectl.
#
#   make check-unit [SAN=address,undefined]             the engine's own tests, no server needed
#
# src/sources.txt lists the sources once, for this file, meson.build and test/unit/Makefile.

MODULE_big = toaststore
EXTENSION = toaststore
DATA = toaststore--1.0.sql
PGFILEDESC = "toaststore - oversized values in a store of their own"

REGRESS = extension put_get slices layouts transactions scan_copy compression errors privileges relation_commands attachments statements limits transparent table_options maps estimate upkeep statistics
# A user's own settings must not change what the tests print.
REGRESS_OPTS = --inputdir=. --outputdir=.

SOURCES := $(shell sed 's/\#.*//' src/sources.txt)
ENGINE_OBJS := $(patsubst %.cpp,%.o,$(filter src/engine/%,$(SOURCES)))
SERVER_OBJS := $(patsubst %.cpp,%.o,$(filter src/postgres/%,$(SOURCES)))
FILE_OBJS := $(patsubst %.cpp,%.o,$(filter src/file/%,$(SOURCES)))
CTL_OBJS := $(patsubst %.cpp,%.o,$(filter src/ctl/%,$(SOURCES)))
OBJS = $(ENGINE_OBJS) $(SERVER_OBJS)
PUBLIC_HEADERS := $(sort $(wildcard include/toaststore/*.h))

# PGXS links with the C compiler, which brings no C++ library.
SHLIB_LINK = -lstdc++ -llz4 -lzstd -lisal -lm
SHLIB_EXPORTS = src/exports.txt

EXTRA_CLEAN = $(OBJS:.o=.d) $(FILE_OBJS) $(FILE_OBJS:.o=.d) $(CTL_OBJS) $(CTL_OBJS:.o=.d) \
	src/exports.list build results output_iso tmp_check \
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

# The tool is a program like others: it may throw.
CTL_FLAGS = -std=c++20 $(ASSERTIONS) -Iinclude -Isrc

# CXXFLAGS is PGXS's, with -fPIC and what the user put into COPT or PROFILE. -O2 stands before it,
# so that the user's word comes last.
COMPILE_CXX = $(CXX) -O2 $(CXXFLAGS) $(WARNINGS) -MMD -MP -c

src/engine/%.o: src/engine/%.cpp Makefile
	$(COMPILE_CXX) $(ENGINE_FLAGS) -o $@ $<
src/postgres/%.o: src/postgres/%.cpp Makefile
	$(COMPILE_CXX) $(SERVER_FLAGS) -o $@ $<
src/file/%.o: src/file/%.cpp Makefile
	$(COMPILE_CXX) $(ENGINE_FLAGS) -pthread -o $@ $<
src/ctl/%.o: src/ctl/%.cpp Makefile
	$(COMPILE_CXX) $(CTL_FLAGS) -pthread -o $@ $<

-include $(OBJS:.o=.d) $(FILE_OBJS:.o=.d) $(CTL_OBJS:.o=.d)

# The store without a server. An archive that is only added to would keep members of old.
LIBRARY = build/libtoaststore.a
PROGRAM_CTL = build/toaststorectl

all: $(LIBRARY) $(PROGRAM_CTL)
$(LIBRARY): $(ENGINE_OBJS) $(FILE_OBJS)
	@$(MKDIR_P) $(@D)
	rm -f $@
	$(AR) crs $@ $^
$(PROGRAM_CTL): $(CTL_OBJS) $(LIBRARY)
	$(CXX) $(CXXFLAGS) $(LDFLAGS) -pthread -o $@ $^ -llz4 -lzstd -lisal

install: install-embedded
uninstall: uninstall-embedded

.PHONY: install-embedded uninstall-embedded
install-embedded: all
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(libdir)' '$(DESTDIR)$(mandir)/man1' \
		'$(DESTDIR)$(includedir)/toaststore'
	$(INSTALL_PROGRAM) $(PROGRAM_CTL) '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) $(LIBRARY) '$(DESTDIR)$(libdir)/'
	$(INSTALL_DATA) man/toaststorectl.1 '$(DESTDIR)$(mandir)/man1/'
	$(INSTALL_DATA) $(PUBLIC_HEADERS) '$(DESTDIR)$(includedir)/toaststore/'
uninstall-embedded:
	rm -f '$(DESTDIR)$(bindir)/$(notdir $(PROGRAM_CTL))' \
		'$(DESTDIR)$(libdir)/$(notdir $(LIBRARY))' '$(DESTDIR)$(mandir)/man1/toaststorectl.1' \
		$(addprefix '$(DESTDIR)$(includedir)/toaststore'/, $(notdir $(PUBLIC_HEADERS)))

.PHONY: check-unit print-regress
check-unit:
	$(MAKE) -f test/unit/Makefile check

print-regress:
	@echo $(REGRESS)
