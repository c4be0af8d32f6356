package codes

// The codes of state in Redis that cannot be used, of processes that are
// missing, and of lanes that are closed.
const (
	BrokenState Code = "BS-BROKEN-STATE"
	HeldLedger  Code = "BS-HELD-LEDGER"
	NoWorker    Code = "BS-NO-WORKER"
	NoScheduler Code = "BS-NO-SCHEDULER"
	NoWeb       Code = "BS-NO-WEB"
	Missed      Code = "BS-MISSED"
	Processes   Code = "BS-PROCESSES"
	Mailbox     Code = "BS-MAILBOX"
	Webhook     Code = "BS-WEBHOOK"

	LaneClosed Code = "BS-LANE-CLOSED" // by an operator
	LaneSlowed Code = "BS-LANE-SLOWED"
	LanePaused Code = "BS-LANE-PAUSED"
	LaneStorm  Code = "BS-LANE-STORM"
	Quota      Code = "BS-QUOTA"
	Warmup     Code = "BS-WARMUP"
	Slot       Code = "BS-SLOT"
	Window     Code = "BS-WINDOW"
)

const replyStep = "The reason has the answer; `broadside reply explain \"CODE TEXT\"` says what it means."

const processStep = "`broadside process list` shows the processes that are alive."

var stateCodes = []Explanation{
	{
		BrokenState, "An entry in Redis cannot be read",
		"What Redis holds under one key is not what this version writes there: another version or another program wrote it, or it was changed by hand. Only this one entry is affected; everything else goes on.",
		[]string{
			"The reason names the key and what was found; `redis-cli TYPE KEY` shows what it is.",
			"Do all processes run the same version? `broadside process list` shows it. Does another program use the same namespace?",
			"A list, schedule or run that is lost can be made again: import, schedule or launch it once more. Delete the key only when you know that nothing else needs it.",
		},
	},
	{
		HeldLedger, "The ledger of the run has entries that mean nothing",
		"Some recipients have a state in Redis that this version does not know, or entries, the content or the addresses are missing or cannot be read: a key was changed, or a newer version wrote it. It is not known whether these recipients were mailed, so the run is held and nothing is sent.",
		[]string{
			"The reason says what was found: how many, in which part, and the first of them, or the key that cannot be read.",
			"Do all processes run the same version? `broadside process list` shows it. Stop the older ones, then `broadside run resume RUN`.",
			"Otherwise `broadside run cancel RUN` ends the run. Launch the campaign again with `--again --exclude run:CAMPAIGN` for those who were not reached; the recipients of the damaged entries may have the message already.",
		},
	},
	{
		NoWorker, "No worker is alive",
		"Workers send what runs need. None has given a sign of life in Redis for some seconds, so nothing is sent. No recipient is lost: a worker goes on where the last one stopped.",
		[]string{"Start `broadside worker` (or `broadside all`) with the same configuration.", processStep, "One that runs and is not shown: its log says what it waits for; is it the same Redis and namespace?"},
	},
	{
		Window, "The run waits for its window",
		"`schedule.window` names the hours in which the run may send, and now is not one of them. It goes on by itself; closed hours do not count for delivery.expires_after.",
		[]string{
			"There is nothing to do. `broadside run show RUN` says when the window opens.",
			"A run keeps the window that it was made with. To send now, cancel it and launch the campaign without a window, with `--again --exclude run:CAMPAIGN`.",
		},
	},
	{
		NoScheduler, "No scheduler is alive",
		"A scheduler makes the runs of scheduled campaigns when their time comes. Without one no run is made, and an occurrence that is later than its max_lateness is recorded as missed.",
		[]string{"Start `broadside scheduler` (or `broadside all`) with the same configuration.", processStep},
	},
	{
		Missed, "A time of a schedule was missed",
		"When the time of a scheduled campaign had come, no run was made of it within its schedule.max_lateness: no scheduler was alive, or its audience, which is read then, could not be. Nothing was sent, and the next time of the schedule stays as it is.",
		[]string{
			"The reason says how late it was, and what was in the way; `broadside campaign show ID` has all times.",
			"An audience on the web or in a database: `broadside campaign launch ID --now --dry-run` reads it now.",
			"`broadside campaign launch ID --now` sends the campaign now. A longer schedule.max_lateness leaves more time for an outage.",
		},
	},
	{
		NoWeb, "No web process is alive",
		"`public_url` names an address for readers, and no `broadside web` with this Redis and namespace gives a sign of life: unsubscribe links may lead nowhere.",
		[]string{"Start `broadside web` (or `broadside all`) with the same configuration.", processStep},
	},
	{
		Processes, "The processes that are alive",
		"Which workers, schedulers and web processes give a sign of life in Redis.",
		[]string{processStep, doctorStep},
	},
	{
		Mailbox, "A bounce mailbox is not read",
		"A scheduler reads the mailboxes of `feedback.mailbox`. This one has not been read, or its server does not answer or refuses the login. No message is lost: they are read when it works again.",
		[]string{
			"The message has the error and when it was last read; `broadside feedback poll` tries it now. docs/mailboxes.md has what each kind of mailbox needs.",
			"A wrong password: correct it in `feedback.mailbox` and start the scheduler again.",
			"Never read, and no error: start `broadside scheduler` (or `broadside all`) with the same configuration.",
			doctorStep,
		},
	},
	{
		Webhook, "A receiver of webhooks is not told what happens",
		"It does not take what is sent to it, or no one sends. An event is tried for about a day and is dead then; one that was answered with 410 Gone is dead at once. Sending is not affected.",
		[]string{
			"`broadside webhook ls` shows the error of the last try; `broadside webhook test` sends an example now. docs/webhooks-out.md says what a receiver must answer.",
			"When the receiver is well: `broadside webhook retry --all` sends what is dead once more.",
			"Events wait, and there is no error: start `broadside scheduler` (or `broadside all`) with the same configuration.",
			doctorStep,
		},
	},
	{
		LaneClosed, "An operator has paused the lane",
		"`lane pause` has closed what one account sends to one mailbox provider. Recipients at other providers go on, and recipients that wait are not charged an attempt; the run's expires_after goes on.",
		[]string{"`broadside lane resume ACCOUNT/PROVIDER` opens it again."},
	},
	{
		LaneSlowed, "One provider wants mail more slowly",
		"A mailbox provider has asked for less: its lane goes at half the rate, and climbs again by 5 % of its ceiling in each minute without such an answer. Other lanes go on at full speed.",
		[]string{
			replyStep,
			"It climbs by itself; `broadside lane ls` shows how fast it is and when it climbs next. Set a ceiling for the lane (`lanes` of the account) when this happens in every run.",
		},
	},
	{
		LanePaused, "One provider wants no more for a while",
		"A mailbox provider answered that it takes nothing from this account now: too much mail, or a block. Its lane is paused; recipients at other providers go on, and recipients that wait are not charged an attempt.",
		[]string{
			replyStep,
			"One message tries it when the pause is over; while that is refused the pauses grow. `broadside lane reset ACCOUNT/PROVIDER` ends the pause at once: do that when you know that the cause is gone.",
		},
	},
	{
		LaneStorm, "A server calls too many addresses dead",
		"Of the latest recipients of the lane more than storm.share (10 %) were refused as addresses that do not exist. Either the server is wrong, or the list is old or bought; both would do harm if it went on. The lane is closed until somebody decides.",
		[]string{
			"Look at some: `broadside run recipients RUN --state bounced`. Do these addresses exist?",
			"They do: `broadside lane reset ACCOUNT/PROVIDER --discard` takes their suppressions away again and opens the lane; `broadside run retry RUN --state bounced --reason storm` sends to them.",
			"They do not: `broadside lane reset ACCOUNT/PROVIDER --confirm` keeps the suppressions and opens the lane. Clean the list before you go on.",
		},
	},
	{
		Quota, "A limit per hour or day is used up",
		"The account has sent as much as limits.per_hour or limits.per_day allows in any hour or day. Recipients wait for the time at which the next message may leave, or go by another account of the campaign. They are not charged an attempt.",
		[]string{
			"The run goes on by itself; `until` says when.",
			"Raise the limit in the account's limits when the provider grants more.",
		},
	},
	{
		Slot, "The time of the next message has not come",
		"The rate of the campaign or of its account allows only so many messages, and the time of the next has not come. Or each recipient gets the message by their own clock (schedule.timezone: recipient), and the next ones live where that time has not come.",
		[]string{
			"The run goes on by itself. `campaign launch --dry-run` says when it will be done; delivery.rate of the campaign and limits.rate of the account set the rate.",
			"`broadside run show RUN` lists the moments at which recipients get the message, with their zones.",
		},
	},
	{
		Warmup, "The allowance of this day of the warm-up is used up",
		"The account is being warmed up: it may send only so much on each day, a little more on the next, and nothing before the first. Recipients wait for the next day, or go by another account of the campaign.",
		[]string{"The run goes on by itself. `broadside account ls` shows the day, its allowance and what is used."},
	},
}
