package vminit

import (
	"cmp"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// cpuInfo describes the processors, the first one first.
const cpuInfo = "/proc/cpuinfo"

// maxCPUInfo is as much of it as is read, in bytes: several processors' worth.
const maxCPUInfo = 64 << 10

// maxModel bounds a processor's name, in bytes.
const maxModel = 128

// processor reads what each architecture calls the model and the features of its processor.
func processor(r io.Reader) (model string, features []string) {
	text, _ := io.ReadAll(io.LimitReader(r, maxCPUInfo))
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); fields[name] == "" {
			fields[name] = strings.TrimSpace(strings.ToValidUTF8(value, ""))
		}
	}
	// RISC-V's name without the extensions, which can be a hundred.
	base, _, _ := strings.Cut(fields["isa"], "_")
	model = cmp.Or(fields["model name"], fields["CPU part"], fields["uarch"], base, "unknown")
	if len(model) > maxModel {
		model = strings.ToValidUTF8(model[:maxModel], "")
	}
	for _, list := range [][]string{strings.Fields(fields["flags"]), strings.Fields(fields["Features"]), extensions(fields["isa"])} {
		features = append(features, list...)
	}
	features = slices.DeleteFunc(features, func(f string) bool { return !guestproto.ValidFeature(f) })
	slices.Sort(features)
	features = slices.Compact(features)
	return model, features[:min(len(features), guestproto.MaxFeatures)]
}

// extensions takes RISC-V's name of an instruction set apart: rv64imafdc_zicsr_zba are the
// letters after the width, and the longer names.
func extensions(isa string) []string {
	base, long, _ := strings.Cut(isa, "_")
	var all []string
	for _, letter := range strings.TrimLeft(strings.TrimPrefix(base, "rv"), "0123456789") {
		all = append(all, string(letter))
	}
	return append(all, strings.FieldsFunc(long, func(r rune) bool { return r == '_' })...)
}

func describeProcessor() (model string, features []string) {
	f, err := os.Open(cpuInfo)
	if err != nil {
		return "unknown", nil
	}
	defer f.Close()
	return processor(f)
}
