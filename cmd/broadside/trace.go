package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/internal/app"
	"broadside/internal/person"
)

func traceCommand(c *cli) *cobra.Command {
	var o person.TraceOptions
	cmd := &cobra.Command{
		Use:   "trace ADDRESS",
		Short: "Everything that happened to one address",
		Long: `Everything that is known to have happened to one address, in the order of time (UTC):
runs with the last reply, single messages, bounces, complaints and unsubscribes that came
back, and by which road, suppressions, lists that have it, and subscriptions that its owner
has confirmed. It reads all lists and all runs that are kept. Of an address that nobody knows it says so, with exit code 0.

Of runs whose addresses are not kept any more, and of an address that was erased, it
finds what goes by the hash. docs/trace.md has the form of --json.`,
		Example: `  broadside trace ada@example.org
  broadside trace ada@example.org --run october --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Limit < 0 {
				return usagef(cmd, "--limit: found %d, expected a number of events", o.Limit)
			}
			addresses, err := address.ParseAll(args)
			if err != nil {
				return err
			}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.trace(ctx, a, addresses[0], o)
			})
		},
	}
	cmd.Flags().StringVar(&o.Run, "run", "", "only what is about `RUN`")
	cmd.Flags().IntVar(&o.Limit, "limit", 0, "only the latest `N` events (default all)")

	return cmd
}

func (c *cli) trace(ctx context.Context, a *app.App, who address.Address, o person.TraceOptions) error {
	if o.Run != "" {
		id, err := c.findRun(ctx, a, o.Run)
		if err != nil {
			return err
		}
		o.Run = id
	}

	p := &person.People{
		Suppression: a.Suppression, Lists: a.Lists, Ledger: a.Ledger, Runs: a.Runs, Subscribers: a.Subscribers, Singles: a.SingleStore,
		OwnLane: func(account, domain string) bool {
			_, own := a.Config.Accounts[account].Lanes[domain]
			return own
		},
	}
	t, err := p.Trace(ctx, who, o)
	if err != nil {
		return err
	}

	c.noteUnread(t.Unread)
	if c.asJSON {
		return c.json(t)
	}
	if len(t.Events) == 0 {
		c.note("nothing is known of this address: no list and no run that is kept has it, it is not on the suppression list, and no subscription of it was confirmed")
		return nil
	}
	if t.LeftOut > 0 {
		c.note("%d earlier events are left out", t.LeftOut)
	}
	return c.table([]string{"AT", "SOURCE", "WHAT"}, traceRows(t))
}

func traceRows(t person.Trace) [][]string {
	rows := make([][]string, len(t.Events))
	for i, e := range t.Events {
		at := "-"
		if !e.At.IsZero() {
			at = traceTime(e.At)
		}
		rows[i] = []string{at, eventSource(e), eventWords(e)}
	}
	return rows
}

func traceTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// eventSource returns who or what an event is about, or came from.
func eventSource(e person.Event) string {
	switch e.Kind {
	case person.KindList:
		return "list " + e.List
	case person.KindAsked, person.KindConfirmed:
		return "form " + e.Form
	case person.KindRun, person.KindClaimed:
		return "run " + e.Run
	case person.KindSingle:
		return joined(" by ", "send", e.Account)
	case person.KindReply:
		if e.Lane != "" {
			return e.Lane
		}
		return "run " + e.Run
	}
	if e.Source != "" {
		return e.Source
	}
	if e.Kind.CameBack() {
		return "run " + e.Run
	}
	return "suppression list"
}

// cameBackWords are the words for what came back.
var cameBackWords = map[person.Kind]string{
	person.Kind(campaign.EventDelivered):    "delivered",
	person.Kind(campaign.EventBounced):      "came back later",
	person.Kind(campaign.EventBlocked):      "came back later, blocked",
	person.Kind(campaign.EventComplained):   "the reader called it spam",
	person.Kind(campaign.EventUnsubscribed): "the reader unsubscribed",
}

// eventWords says what happened.
func eventWords(e person.Event) string {
	switch e.Kind {
	case person.KindList:
		return "has the address"
	case person.KindAsked:
		return "asked for topic " + e.Topic + " (" + e.Source + ")"
	case person.KindConfirmed:
		return "confirmed topic " + e.Topic + ", for list " + e.List + "; shown was text " + e.Text
	case person.KindRun:
		return runWords(e)
	case person.KindClaimed:
		return fmt.Sprintf("a worker is sending to it, attempt %d", e.Attempts)
	case person.KindReply:
		return replyWords(e)
	case person.KindSingle:
		return singleWords(e)
	case person.KindSign:
		return fmt.Sprintf("a sign that the address is dead, number %d; it counts when it comes again", e.Count)
	case person.KindReturned:
		return fmt.Sprintf("message %d that came back although the address may be in use", e.Count)
	case person.KindSuppressed:
		return suppressedWords(e)
	case person.KindRemoved:
		return removedWords(e)
	}

	words := []string{cameBackWords[e.Kind]}
	if said := joined(" ", notIn(e.Enhanced, e.Reply), e.Reply); said != "" {
		words[0] += ": " + said
	}
	if e.At.IsZero() {
		words = append(words, "when and how is not kept")
	}
	if e.Source != "" {
		words = append(words, "run "+e.Run)
	}
	return joined("; ", words...)
}

func runWords(e person.Event) string {
	what := "campaign " + e.Campaign
	if e.Topic != "" {
		what += ", topic " + e.Topic
	}
	what += ": " + e.State + " now"
	if e.Attempts > 0 {
		what += " after " + attempts(e.Attempts)
	}
	if !e.Until.IsZero() {
		what += ", the next try not before " + traceTime(e.Until)
	}
	return what
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return strconv.Itoa(n) + " attempts"
}

func replyWords(e person.Event) string {
	code := ""
	if e.Code > 0 {
		code = strconv.Itoa(e.Code)
	}
	words := e.State
	if e.Attempts > 0 {
		words += fmt.Sprintf(", attempt %d", e.Attempts)
	}
	if said := joined(" ", code, notIn(e.Enhanced, e.Reply), e.Reply); said != "" {
		words += ": " + said
	}
	run := "run " + e.Run
	if e.Lane == "" {
		run = "" // it is the source
	}
	return joined("; ", words, run)
}

// singleWords says how a single message stands.
func singleWords(e person.Event) string {
	words := "message " + e.Message + " of template " + e.Template + ": " + e.State + " now"
	if e.Attempts > 0 {
		words += " after " + attempts(e.Attempts)
	}
	if e.Reply != "" {
		words += ": " + e.Reply
	}
	if !e.Until.IsZero() {
		words += "; the next try at " + traceTime(e.Until)
	}
	return words
}

func suppressedWords(e person.Event) string {
	words := "suppressed " + scopeWords(e) + ": " + e.Reason
	if e.Evidence != "" {
		words += " (" + e.Evidence + ")"
	}
	run := ""
	if e.Run != "" {
		run = "run " + e.Run
	}
	lane := ""
	if e.Lane != "" {
		lane = "lane " + e.Lane
	}
	until := ""
	switch {
	case e.Over:
		until = "until " + traceTime(e.Until) + ", which is over"
	case !e.Until.IsZero():
		until = "until " + traceTime(e.Until)
	}
	return joined("; ", words, run, lane, until)
}

func removedWords(e person.Event) string {
	words := "taken off the suppression list " + scopeWords(e)
	if e.Reason != "" {
		words += ", because the server had refused everybody"
	}
	return words
}

// scopeWords says what a suppression is for.
func scopeWords(e person.Event) string {
	words := "for everything"
	if topic, ok := strings.CutPrefix(e.Scope, suppression.Topic("")); ok {
		words = "for topic " + topic
	}
	if e.Entry != "" {
		words += " with its whole domain (" + e.Entry + ")"
	}
	return words
}

// notIn returns a status code, unless the text has it.
func notIn(status, text string) string {
	if strings.Contains(text, status) {
		return ""
	}
	return status
}

// joined joins the texts that are not empty.
func joined(with string, texts ...string) string {
	var all []string
	for _, text := range texts {
		if text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, with)
}
