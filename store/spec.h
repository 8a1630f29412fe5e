/* spec.h: what a view asks for, and whether an instance is that.
 *
 * Version ranges: terms separated by blanks, all of which must hold: ">=1.2", "<2", ">1", "<=1.4.9",
 * "=1.4.2"; a bare "1.4" holds for 1.4 and every 1.4.x. Versions are numbers between dots, a
 * missing one is 0; what follows a '-' makes the version one of those before (SemVer 2.0, section
 * 9) and is not compared further; a '+' and what follows is ignored; a leading 'v' too. A version
 * that does not begin with a number is in no range.
 *
 * Selectors: terms separated by commas, all of which must hold: "key=value", "key!=value" (also
 * where there is no such key), "key" (there is one), "!key" (there is none). */
#ifndef SL_STORE_SPEC_H
#define SL_STORE_SPEC_H

#include "store/store.h"

/* The spec has no fault (sl_view_fault). */
bool sl_spec_matches(const struct sl_view_spec *spec, const struct sl_instance *inst);

#endif
