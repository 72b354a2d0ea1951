// Package powercut runs the embedded system in a machine of its own and cuts
// that machine's power: QEMU is killed while clients on this host submit jobs
// and upload inputs. What the guest's kernel had not written to its disk is
// gone, as it would be with a real machine. After the next boot everything that
// a client had got an answer for must still be there.
//
// The client is on this side: a job counts as acknowledged when its answer has
// left the machine. The disk is an ordinary one without a volatile cache of its
// own: it keeps what the guest's kernel wrote to it, synced or not, so what a
// disk loses that lies about a flush is not tested here.
//
// Two controls show that the test can fail: the same with a NATS server that
// syncs when it likes, and the same with the object store's fsync disarmed.
package powercut
