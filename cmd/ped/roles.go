package main

import "github.com/spf13/cobra"

func (a *app) up() *cobra.Command       { return a.configured(&cobra.Command{Use: "up"}) }
func (a *app) gateway() *cobra.Command  { return a.configured(&cobra.Command{Use: "gateway"}) }
func (a *app) executor() *cobra.Command { return a.configured(&cobra.Command{Use: "executor"}) }
