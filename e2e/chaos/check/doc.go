// Package check says whether a recorded run of the whole system kept its
// promises: every accepted job reached exactly one end, at most one of its
// attempts was accepted, what that attempt stored is there as it says, everyone
// who should hear of the end did, and nothing was left behind.
//
// It looks at a [History] alone, written by whoever made the run, and shares
// no code with what it checks: its own idea of a record, of the states and of
// the keys of objects is written down here a second time, on purpose.
package check
