// SQL from within: names as a person writes them, and statements that the functions run as their
// caller.

#ifndef TOASTSTORE_POSTGRES_SQL_H_
#define TOASTSTORE_POSTGRES_SQL_H_

#include "postgres/pg.h"

namespace toaststore {

// A relation that is to be made, named as CREATE TABLE reads names: folded unless quoted, with or
// without a schema.
struct NewRelation {
  explicit NewRelation(text* name);

  // To be put into a statement.
  const char* quoted() const;
  // Once it is made.
  Oid oid() const;

 private:
  const char* name_;
  Oid schema_;
};

// A relation's name to be put into a statement, whatever the search path is.
const char* quoted_name(Relation rel);

// Runs a statement.
void execute(const char* sql);

}  // namespace toaststore

#endif  // TOASTSTORE_POSTGRES_SQL_H_
