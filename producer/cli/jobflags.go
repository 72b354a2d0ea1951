package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/schemas"
)

// jobFlags are the flags of run and submit that describe the job.
type jobFlags struct {
	spec       string
	image      string
	files      []string
	stdin      string
	env        []string
	cwd, user  string
	entrypoint string
	collect    []string
	labels     []string
	campaign   string
	lane, key  string
	callback   string
	cache      string
	failures   bool
	requires   schemas.Requires
	on         []string

	wall, cpuTime, wait, deadline durationFlag
	memory, scratch, outputs      bytesFlag
	pids                          int64
	cpus                          float64
}

func (j *jobFlags) add(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	// What follows the first argument is the program's, flags too.
	f.SetInterspersed(false)
	f.StringVarP(&j.image, "image", "i", "", flagImage)
	f.StringArrayVarP(&j.files, "file", "f", nil, flagFile)
	f.StringVar(&j.stdin, "stdin", "", flagStdin)
	f.StringArrayVarP(&j.env, "env", "e", nil, flagEnv)
	f.StringVarP(&j.cwd, "cwd", "w", "", flagCwd)
	f.StringVarP(&j.user, "user", "u", "", flagUser)
	f.StringVar(&j.entrypoint, "entrypoint", "", flagEntrypoint)
	f.StringArrayVar(&j.collect, "collect", nil, flagCollect)
	f.StringVar(&j.spec, "spec", "", flagSpec)
	j.addRequires(f)
	j.addLimits(f)
	f.StringArrayVarP(&j.labels, "label", "l", nil, flagLabel)
	f.StringVar(&j.campaign, "campaign", "", flagCampaign)
	f.StringVar(&j.cache, "cache", "", flagCache)
	f.BoolVar(&j.failures, "cache-failures", false, flagCacheFailures)
	f.StringVar(&j.lane, "lane", "", flagLane)
	f.Var(&j.wait, "queue-timeout", flagQueueTimeout)
	f.Var(&j.deadline, "deadline", flagDeadline)
	f.StringVar(&j.key, "idempotency-key", "", flagKey)
	f.StringVar(&j.callback, "callback", "", flagCallback)
	f.Lookup("queue-timeout").DefValue = "0"
	f.Lookup("deadline").DefValue = "0"
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "timeout" {
			name = "wall"
		}
		return pflag.NormalizedName(name)
	})
	j.complete(a, cmd)
}

func (j *jobFlags) addRequires(f *pflag.FlagSet) {
	f.StringVar(&j.requires.Arch, "arch", "", flagArch)
	f.StringVar(&j.requires.Isolation, "isolation", "", flagIsolation)
	f.StringVar(&j.requires.Accel, "accel", "", flagAccel)
	f.StringVar(&j.requires.Kernel, "kernel", "", flagKernel)
	f.StringArrayVar(&j.requires.Features, "feature", nil, flagFeature)
	f.StringVar(&j.requires.CPUModel, "cpu-model", "", flagCPUModel)
	f.StringVar(&j.requires.Executor, "executor", "", flagExecutor)
	f.StringArrayVar(&j.on, "on", nil, flagOn)
}

func (j *jobFlags) addLimits(f *pflag.FlagSet) {
	f.Var(&j.wall, "wall", flagWall)
	f.Var(&j.cpuTime, "cpu-time", flagCPUTime)
	f.Float64Var(&j.cpus, "cpus", 0, flagCPUs)
	f.Var(&j.memory, "memory", flagMemory)
	f.Int64Var(&j.pids, "pids", 0, flagPids)
	f.Var(&j.scratch, "scratch", flagScratch)
	f.Var(&j.outputs, "output-limit", flagOutputs)
	// The texts name the real defaults; pflag would add its own beside them.
	for _, name := range []string{"wall", "cpu-time", "memory", "scratch", "output-limit"} {
		f.Lookup(name).DefValue = "0"
	}
}

func (j *jobFlags) complete(a *app, cmd *cobra.Command) {
	for flag, words := range map[string][]string{
		"arch": schemas.Archs, "isolation": schemas.Isolations, "accel": schemas.Accels, "lane": {schemas.LaneInteractive, schemas.LaneBatch},
		"cache": schemas.CacheModes,
	} {
		// The only error is a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("on", a.completeOn)
	_ = cmd.RegisterFlagCompletionFunc("campaign", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return a.completeCampaign(cmd, nil, typed)
	})
}

// build makes the specification of flags, arguments and --spec; files and stdin are yet to be added.
func (j *jobFlags) build(a *app, set *pflag.FlagSet, args []string) (schemas.JobSpec, error) {
	spec, err := j.template(a)
	if err != nil {
		return spec, err
	}
	override(&spec.Image, j.image)
	override(&spec.Cwd, j.cwd)
	override(&spec.User, j.user)
	override(&spec.Cache, j.cache)
	override(&spec.CacheFailures, j.failures)
	override(&spec.Lane, j.lane)
	override(&spec.IdempotencyKey, j.key)
	if j.callback != "" {
		spec.Callback = &schemas.Callback{URL: j.callback}
	}
	if set.Changed("entrypoint") {
		entrypoint := []string{}
		if j.entrypoint != "" {
			entrypoint = append(entrypoint, j.entrypoint)
		}
		spec.Entrypoint = &entrypoint
	}
	if len(args) > 0 {
		spec.Args = args
	}
	if len(j.collect) > 0 {
		spec.Outputs = j.collect
	}
	override(&spec.QueueTimeoutMS, j.wait.milliseconds())
	override(&spec.DeadlineMS, j.deadline.milliseconds())
	j.limits(&spec.Limits)
	j.require(&spec.Requires)
	where, err := parseOn(j.on)
	if err != nil {
		return spec, usage(err)
	}
	err = errors.Join(
		j.variables(&spec, a),
		pairs(&spec.Labels, "label", j.labels),
		j.join(&spec, set.Changed("campaign")),
		pairs(&spec.Requires.Labels, "on", where.labels),
	)
	if where.single() {
		spec.Requires = where.targets[0].Over(spec.Requires)
	}
	return spec, err
}

func (j *jobFlags) template(a *app) (schemas.JobSpec, error) {
	if j.spec == "" {
		return schemas.JobSpec{}, nil
	}
	f, err := a.readable(j.spec)
	if err != nil {
		return schemas.JobSpec{}, fmt.Errorf("read specification: %w", err)
	}
	defer f.Close()
	spec, problems, err := schemas.DecodeJobTemplate(f)
	if err != nil {
		return spec, usage(fmt.Errorf("specification %s: %w", j.spec, err))
	}
	if len(problems) > 0 {
		return spec, specProblems(problems)
	}
	return spec, nil
}

// problems are told in the words of what the specification was made of.
func (j *jobFlags) problems(list []schemas.Problem) error {
	if j.spec != "" {
		return specProblems(list)
	}
	return flagProblems(list)
}

func (j *jobFlags) limits(l *schemas.Limits) {
	override(&l.WallMS, j.wall.milliseconds())
	override(&l.CPUMS, j.cpuTime.milliseconds())
	override(&l.CPUs, j.cpus)
	override(&l.MemoryBytes, int64(j.memory))
	override(&l.Pids, j.pids)
	override(&l.ScratchBytes, int64(j.scratch))
	override(&l.OutputBytes, int64(j.outputs))
}

func (j *jobFlags) require(r *schemas.Requires) {
	override(&r.Arch, j.requires.Arch)
	override(&r.Isolation, j.requires.Isolation)
	override(&r.Accel, j.requires.Accel)
	override(&r.Kernel, j.requires.Kernel)
	override(&r.CPUModel, j.requires.CPUModel)
	override(&r.Executor, j.requires.Executor)
	if len(j.requires.Features) > 0 {
		r.Features = j.requires.Features
	}
}

func override[T comparable](dst *T, v T) {
	if v != *new(T) {
		*dst = v
	}
}

func (j *jobFlags) variables(spec *schemas.JobSpec, a *app) error {
	for _, e := range j.env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			value = a.Getenv(name)
		}
		if name == "" {
			return usage(fmt.Errorf("--env %q: want NAME=VALUE or NAME", e))
		}
		if spec.Env == nil {
			spec.Env = map[string]string{}
		}
		spec.Env[name] = value
	}
	return nil
}

// join puts the job into its campaign, which a label of the command line may name, too.
func (j *jobFlags) join(spec *schemas.JobSpec, named bool) error {
	if !named {
		return nil
	}
	if !schemas.ValidCampaignName(j.campaign) {
		return usage(errors.New("--campaign: " + noCampaignName(j.campaign)))
	}
	for _, label := range j.labels {
		if name, ok := strings.CutPrefix(label, schemas.LabelCampaign+"="); ok && name != j.campaign {
			return usage(errors.New(twoCampaigns(name, j.campaign)))
		}
	}
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	spec.Labels[schemas.LabelCampaign] = j.campaign
	return nil
}

func pairs(dst *map[string]string, flag string, list []string) error {
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return usage(fmt.Errorf("--%s %q: want KEY=VALUE", flag, s))
		}
		if *dst == nil {
			*dst = map[string]string{}
		}
		(*dst)[k] = v
	}
	return nil
}
