// What the server sees of the library when it loads it.

#include "postgres/background.h"
#include "postgres/settings.h"
#include "postgres/store_am.h"
#include "postgres/work_list.h"

extern "C" {
#include "utils/guc.h"
}

extern "C" {

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(toaststore_version);

void _PG_init();

void _PG_init() {
  toaststore::define_stop_at();
  toaststore::define_settings();
  MarkGUCPrefixReserved("toaststore");
  toaststore::install_guard();
  toaststore::install_index_guard();
  toaststore::install_work_list();
  toaststore::register_launcher();
}

// toaststore.version() -> text
Datum toaststore_version(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_TEXT_P(cstring_to_text("1.0"));
}
}
