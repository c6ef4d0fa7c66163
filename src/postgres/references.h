// What ties the rows of a table to the values of its store.

#ifndef TOASTSTORE_POSTGRES_REFERENCES_H_
#define TOASTSTORE_POSTGRES_REFERENCES_H_

#include "engine/verify.h"
#include "postgres/host.h"

namespace toaststore {

// Reports pointers of rows, visible or not yet dead to every snapshot, that lead to no value, and
// values that no row points to.  REQUIRES: writers are locked out of both relations, or the server
// is a standby, where only the rows that the active snapshot sees are looked at.
void verify_references(Relation table, Relation store, FaultSink* sink);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_REFERENCES_H_
