package main

import "github.com/spf13/cobra"

func (a *app) up() *cobra.Command { return a.configured(&cobra.Command{Use: "up"}) }
