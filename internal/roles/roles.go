// Package roles puts a gateway and an executor together from the packages that
// do the work: queue, store, images, machines. `ped gateway` and `ped executor`
// run one of them in a process, the embedded system both.
//
// It knows how the parts are joined and nothing of a job. It must not start a
// NATS server, nor read flags, environment or configuration files.
package roles
