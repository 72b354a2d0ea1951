package qemu

// timestampCounter reads the CPU's time-stamp counter.
func timestampCounter() uint64
