// Package helptest holds the help of a program to what its users need of it:
// every command says what it does and shows how, every example is a command line
// that the program takes, and every flag names its value. Only tests import it;
// it knows no program.
package helptest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Check visits all commands below root. It calls fresh for each example, for a
// command that has parsed flags keeps them. Those that are named without, by
// their paths, need no example.
func Check(t *testing.T, fresh func() *cobra.Command, without ...string) {
	t.Helper()
	visit(fresh(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" {
			t.Errorf("%s has no short help", path)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { checkFlag(t, path, f) })
		switch {
		case cmd.Example != "":
			checkExample(t, fresh, cmd)
		case cmd.Runnable() && !slices.Contains(without, path):
			t.Errorf("%s has no example", path)
		}
	})
}

func visit(cmd *cobra.Command, each func(*cobra.Command)) {
	each(cmd)
	for _, child := range cmd.Commands() {
		visit(child, each)
	}
}

// valueName is the name of a flag's value as an example of it is written.
var valueName = regexp.MustCompile("`[A-Z][A-Z=:[\\]]*`")

// checkFlag wants a name between back quotes, which pflag shows instead of the
// type's, and no default beside one that the text names.
func checkFlag(t *testing.T, path string, f *pflag.Flag) {
	t.Helper()
	named := valueName.MatchString(f.Usage)
	if strings.Count(f.Usage, "`") > 2 {
		t.Errorf("%s --%s: more than one word in back quotes: %s", path, f.Name, f.Usage)
	}
	if boolean := f.Value.Type() == "bool"; boolean == named && f.Name != "help" {
		t.Errorf("%s --%s: want a value's name in back quotes, but for one that is yes or no: %s", path, f.Name, f.Usage)
	}
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	shown.AddFlag(f)
	if text := shown.FlagUsages(); strings.Count(text, "(default") > 1 || strings.Contains(text, "(default )") {
		t.Errorf("%s --%s: two defaults, or an empty one: %s", path, f.Name, text)
	}
}

// checkExample wants each line to be one that the program takes, and one of them
// to use the command or one below it.
func checkExample(t *testing.T, fresh func() *cobra.Command, cmd *cobra.Command) {
	t.Helper()
	used := false
	for text := range strings.SplitSeq(strings.ReplaceAll(cmd.Example, "\\\n", " "), "\n") {
		for _, words := range calls(text, cmd.Root().Name()) {
			root := fresh()
			found, rest, err := root.Find(words)
			if err == nil {
				err = takes(found, rest)
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), text, err)
				continue
			}
			used = used || strings.HasPrefix(found.CommandPath()+" ", cmd.CommandPath()+" ")
		}
	}
	if !used {
		t.Errorf("%s: no example uses it", cmd.CommandPath())
	}
}

// takes reports what a command has against its flags and arguments.
func takes(cmd *cobra.Command, args []string) error {
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
