package guestproto

// Type methods: one line per message.

func (*Identity) Type() Type     { return TypeIdentity }
func (*Rootfs) Type() Type       { return TypeRootfs }
func (*Freeze) Type() Type       { return TypeFreeze }
func (*Ping) Type() Type         { return TypePing }
func (*Poweroff) Type() Type     { return TypePoweroff }
func (*Job) Type() Type          { return TypeJob }
func (*InputEnd) Type() Type     { return TypeInputEnd }
func (*Start) Type() Type        { return TypeStart }
func (*StdinEnd) Type() Type     { return TypeStdinEnd }
func (*Kill) Type() Type         { return TypeKill }
func (*Ready) Type() Type        { return TypeReady }
func (*IdentityDone) Type() Type { return TypeIdentityDone }
func (*Mounted) Type() Type      { return TypeMounted }
func (*Frozen) Type() Type       { return TypeFrozen }
func (*Pong) Type() Type         { return TypePong }
func (*Staged) Type() Type       { return TypeStaged }
func (*Started) Type() Type      { return TypeStarted }
func (*StdinTaken) Type() Type   { return TypeStdinTaken }
func (*Exit) Type() Type         { return TypeExit }
func (*Collected) Type() Type    { return TypeCollected }
func (*Fault) Type() Type        { return TypeFault }
