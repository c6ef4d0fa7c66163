// What ties the rows of a table to the values of its store.

#ifndef TOASTSTORE_POSTGRES_REFERENCES_H_
#define TOASTSTORE_POSTGRES_REFERENCES_H_

#include "engine/verify.h"
#include "postgres/host.h"

namespace toaststore {

// Reports pointers of rows that lead to no value.  Exact, those of all rows not yet dead to every
// snapshot, and values that no row points to; else of the rows that the active snapshot sees.
// REQUIRES: where exact, writers are locked out of both relations.
void verify_references(Relation table, Relation store, bool exact, FaultSink* sink);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_REFERENCES_H_
