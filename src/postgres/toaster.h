// Which values of a row go into the store.

#ifndef TOASTSTORE_POSTGRES_TOASTER_H_
#define TOASTSTORE_POSTGRES_TOASTER_H_

#include "postgres/toast_writer.h"

namespace toaststore {

// Does core call its toaster for such a row?
bool needs_toasting(Relation table, HeapTuple row);

// The row to hand to core: `row` itself, or a copy in the current memory context with promises of
// `writer` in place of values that are too large.  `old` is the version that the row replaces, or
// null.  Memory is left to the current context.
HeapTuple toast_row(ToastWriter* writer, HeapTuple row, HeapTuple old);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_TOASTER_H_
