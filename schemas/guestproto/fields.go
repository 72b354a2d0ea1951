package guestproto

// fields methods: what each message has on the wire, in this order.

func (m *Identity) fields(c *codec) {
	c.bytes(&m.Entropy)
	c.integers(&m.ClockNS)
	c.texts(&m.Hostname, &m.MachineID)
}

func (m *Rootfs) fields(c *codec) {
	c.texts(&m.FS, &m.Serial)
	c.list(&m.Data)
}

func (m *Job) fields(c *codec) {
	c.list(&m.Argv)
	c.truth(&m.Rehearse)
	c.list(&m.Env)
	c.texts(&m.Cwd, &m.User)
	l := &m.Limits
	c.integers(&l.WallMS, &l.CPUMS, &l.CPUsMilli, &l.Memory, &l.PIDs, &l.Scratch, &l.Output, &l.Log)
	c.texts(&m.Input.Via, &m.Input.Serial)
	c.integers(&m.Input.Size)
	c.truth(&m.Input.Root)
	c.texts(&m.Output.Via, &m.Output.Serial)
	c.list(&m.Output.Patterns)
	c.texts(&m.Stdin.Via, &m.Stdin.Path)
}

func (m *Ready) fields(c *codec) {
	c.small(&m.Protocol)
	c.texts(&m.Arch, &m.Kernel, &m.CPUModel, &m.Guest)
	c.list(&m.Features)
	c.list(&m.Enforces)
	c.integers(&m.BootUS)
}

func (m *Exit) fields(c *codec) {
	c.small(&m.Code)
	c.small(&m.Signal)
	c.texts(&m.Limit)
	c.list(&m.LimitsHit)
	c.truth(&m.NotStarted)
	c.texts(&m.Message)
	c.truth(&m.Killed)
	c.truth(&m.StdoutTruncated)
	c.truth(&m.StderrTruncated)
	r := &m.Rusage
	c.integers(&r.UserUS, &r.SysUS, &r.MaxRSS, &r.MemoryPeak, &r.MinorFaults, &r.MajorFaults, &r.VoluntarySw, &r.InvoluntarySw)
	c.integers(&m.WallUS, &m.ReapUS)
}

func (m *Collected) fields(c *codec) {
	c.integers(&m.Bytes, &m.Entries, &m.Skipped)
	c.list(&m.SkippedPaths)
	c.texts(&m.Limit)
	c.integers(&m.PackUS)
}

func (m *Staged) fields(c *codec) { c.integers(&m.Bytes, &m.Entries, &m.UnpackUS, &m.PrepareUS) }
func (m *Kill) fields(c *codec)   { c.texts(&m.Reason, &m.Limit) }
func (m *Fault) fields(c *codec)  { c.texts(&m.Code, &m.Message) }

func (m *Ping) fields(c *codec) { c.number(&m.Nonce) }
func (m *Pong) fields(c *codec) { c.number(&m.Nonce) }

func (m *InputEnd) fields(c *codec)   { c.integers(&m.Size) }
func (m *Mounted) fields(c *codec)    { c.integers(&m.TookUS) }
func (m *Frozen) fields(c *codec)     { c.integers(&m.Bytes) }
func (m *Started) fields(c *codec)    { c.integers(&m.SinceStartUS) }
func (m *StdinTaken) fields(c *codec) { c.integers(&m.Total) }

func (*Freeze) fields(*codec)       {}
func (*Poweroff) fields(*codec)     {}
func (*Start) fields(*codec)        {}
func (*StdinEnd) fields(*codec)     {}
func (*IdentityDone) fields(*codec) {}
