// Package onebox runs the whole system in one process: NATS server, object
// store, gateway and executor, for `ped up`, demonstrations and tests. What it
// starts is the same code that runs apart on several machines.
//
// Only cmd/ped and e2e import it.
package onebox
