package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/internal/access"
	"broadside/internal/app"
)

func tokenCommand(c *cli) *cobra.Command {
	return noun("token", "Tokens by which programs use the API", tokenCreateCommand(c), tokenListCommand(c), tokenRevokeCommand(c))
}

func tokenCreateCommand(c *cli) *cobra.Command {
	var scopes []string
	var name string
	cmd := &cobra.Command{
		Use:   "create --scope SCOPE",
		Short: "Make a token, and print it once",
		Long: `Make a token and print it. It is not shown again: only its SHA-256 is stored. Scopes:

  send   may send single messages by POST /api/v1/send (docs/send.md)`,
		Example: `  broadside token create --scope send --name shop`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(scopes) == 0 {
				return usagef(cmd, "expected --scope, one of: %s", strings.Join(access.Scopes, ", "))
			}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				token, text, err := a.Access.Create(ctx, name, scopes, time.Now())
				if err != nil {
					return err
				}
				return c.printNewToken(token, text)
			})
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "`SCOPES` of the token: send")
	cmd.Flags().StringVar(&name, "name", "", "`TEXT` that says whose it is")
	return cmd
}

// A tokenDocument is a token as programs see it.
type tokenDocument struct {
	access.Token
	CreatedAt *string `json:"created_at"`
	UsedAt    *string `json:"last_used_at"` // to the minute; null: never
	Text      string  `json:"token,omitempty"`
}

func (c *cli) printNewToken(token access.Token, text string) error {
	if c.asJSON {
		return c.json(tokenDocument{token, stamp(token.Created), nil, text})
	}
	c.note("token %s: this is shown only now", token.ID)
	_, err := fmt.Fprintln(c.stdout, text)
	return err
}

func tokenListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "The tokens, and when each was used last",
		Example: "  broadside token ls --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				all, err := a.Access.List(ctx)
				if err != nil {
					return err
				}
				return c.printTokens(all)
			})
		},
	}
}

func (c *cli) printTokens(all []access.Token) error {
	documents := []tokenDocument{}
	var rows [][]string
	for _, token := range all {
		documents = append(documents, tokenDocument{token, stamp(token.Created), stamp(token.Used), ""})
		used := "never"
		if !token.Used.IsZero() {
			used = token.Used.Format(time.RFC3339)
		}
		rows = append(rows, []string{token.ID, token.Name, strings.Join(token.Scopes, ","), token.Created.Format(time.RFC3339), used})
	}
	if c.asJSON {
		return c.json(documents)
	}
	if len(rows) == 0 {
		c.note("there is no token: broadside token create --scope send makes one")
		return nil
	}
	return c.table([]string{"ID", "NAME", "SCOPES", "CREATED", "LAST USED"}, rows)
}

func tokenRevokeCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Take a token away",
		Long:    `Take a token away: the next request with it is refused. ID is that of "token ls", or the beginning of one.`,
		Example: "  broadside token revoke k3v9q2ab",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				token, err := a.Access.Revoke(ctx, args[0])
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(tokenDocument{token, stamp(token.Created), stamp(token.Used), ""})
				}
				_, err = fmt.Fprintf(c.stdout, "revoked %s %s\n", token.ID, printable(token.Name))
				return err
			})
		},
	}
}
