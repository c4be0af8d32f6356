package bounce

import "regexp"

// A deadForm is an explicit phrase for an address that does not exist.
type deadForm struct {
	id      string
	expr    *regexp.Regexp // of a text as plain makes it
	example string
}

func dead(id, expr, example string) deadForm {
	return deadForm{id, regexp.MustCompile(expr), example}
}

// deadForms are what mail systems say in their own words, without the reply of a
// server. The rules of package reply are made for replies, and would find too much in
// sentences for people: such a text means a dead address only where it has one of
// these, and nothing that speaks against it.
var deadForms = []deadForm{
	dead("unknown", `\b(?:user|recipient|mailbox|addressee) (?:is )?unknown\b|\bunknown (?:user|recipient|mailbox|local part|addressee)\b`, "User unknown"),
	dead("no-such", `\bno such (?:user|person|recipient|mailbox|account|address|local user|addressee)\b|\bno (?:user|mailbox|account|person) (?:here )?(?:by|with|of) th(?:at|is) name\b`, "Sorry, no mailbox here by that name."),
	dead("not-exist", `\b(?:users?|recipients?|mailbox|(?:e-?mail )?account|(?:e-?mail )?address)(?: that you tried to reach)?(?: [<("']?[^\s@]+@\S+| \S+)? (?:does not|doesn't|do not|did not) exist\b`, "The email account that you tried to reach does not exist."),
	dead("not-found", `\b(?:users?|recipients?|mailbox|(?:e-?mail )?account|(?:e-?mail )?address)(?: [<("']?[^\s@]+@\S+)? (?:is |was |could |can )?(?:not|n't)(?: be)? found\b|\b(?:user|recipient|mailbox) not found\b`, "(user not found)"),
	dead("wasnt-found", `\b(?:wasn't|couldn't be|can't be|could not be|was not) found at (?:the destination domain|\S+\.\S+)`, "ann wasn't found at example.net."),
	dead("exchange", `\brecipient name is not recognized\b|\be-?mail account does not exist at the organi[sz]ation\b`, "The recipient name is not recognized"),
	dead("imail", `\binvalid (?:final delivery )?userid\b`, "Invalid final delivery userid: ann@example.net"),
	dead("domino", `\bnot listed in (?:the )?(?:domino directory|public name|address book)|ディレクトリには見つかりません`, "User ann (ann@example.net) not listed in Domino Directory"),
	dead("yahoo", `\b(?:doesn't|does not) have an? \S+ account\b`, "This user doesn't have a yahoo.com account (ann@example.net) [0]"),
	dead("not-a", `\b(?:is )?not an? (?:known|valid|registered|existing) (?:user|mailbox|recipient|account)\b`, "ann is not a known user on this system"),
	dead("de", `\b(?:unbekannter? (?:empfänger|benutzer|adressat)|(?:empfänger|benutzer|adressat)(?:adresse)?(?: \S+)? (?:ist )?(?:hier )?(?:nicht bekannt|unbekannt)|(?:e-mail-adresse|adresse|postfach|konto|empfänger|benutzer)(?: \S+)? (?:existiert (?:hier )?nicht|wurde nicht gefunden|nicht gefunden|ist nicht vorhanden))`, "Empfänger ist unbekannt"),
	dead("fr", `\b(?:destinataire|utilisateur|compte|boîte|adresse)(?: \S+)? (?:est )?(?:inconnue?|inexistante?|introuvable|n'existe pas|non recensée?)|\b(?:utilisateur|destinataire|adresse) inconnue?`, "Destinataire inconnu"),
	dead("es", `\b(?:usuario|destinatario|buzón|cuenta|dirección)(?: \S+)? (?:es )?(?:desconocid[oa]|no existe|inexistente|no encontrad[oa])`, "El usuario no existe"),
	dead("it", `\b(?:utente|destinatario|casella|indirizzo)(?: \S+)? (?:è )?(?:sconosciut[oa]|inesistente|non esiste|non trovat[oa])`, "Utente sconosciuto"),
	dead("pt", `\b(?:usuário|utilizador|destinatário|conta|endereço|caixa postal)(?: \S+)? (?:é )?(?:desconhecid[oa]|não existe|inexistente|não encontrad[oa])`, "O usuário não existe"),
	dead("nl", `\b(?:onbekende (?:gebruiker|ontvanger)|(?:gebruiker|ontvanger|adres|mailbox|postbus)(?: \S+)? (?:is )?(?:onbekend|bestaat niet|niet gevonden))`, "De ontvanger bestaat niet"),
	dead("pl", `(?:użytkownik|adresat|odbiorca|konto|adres|skrzynka)(?: \S+)? (?:nie istnieje|jest nieznan[ya]|nieznan[ya]|nie został[ao]? znalezion[ya])|nie ma takiego (?:użytkownika|adresata|konta|adresu)`, "Użytkownik nie istnieje"),
	dead("ru", `(?:пользователь|получатель|адресат|почтовый ящик|адрес)(?: \S+)? (?:не найден|не существует|неизвестен)|(?:нет такого|неизвестный) (?:пользователя|пользователь|получателя|получатель)`, "Пользователь не найден"),
	dead("ja", `(?:宛先|あて先|送信先|受信者|ユーザー?|メールアドレス)(?:の\S{1,12})?(?:が|は)(?:存在しません|見つかりません(?:でした)?|不明です)|宛先不明|ユーザー?不明`, "送信先メールアドレスが見つかりませんでした。"),
	dead("zh", `(?:收件人|用户|用戶|邮箱|郵箱|帐号|账号|地址)(?:地址|帐号|账号|邮箱)?(?:不存在|未找到|不正确)|(?:没有|無|无)(?:此|该|這個)(?:用户|用戶|收件人|邮箱)`, "收件人地址不存在"),
	dead("ko", `(?:수신자|사용자|받는 ?사람|메일 ?주소|계정)(?:가|이|을|를|는|은)? ?(?:존재하지 않|찾을 수 없|없습니다)`, "수신자를 찾을 수 없습니다"),
}

// doubts are what a text says that does not know for certain, or whose own mail system
// failed.
var doubts = []string{
	"may not", "might not", "may have", "might have", "maybe", "perhaps", "possibly", "probably", "or you", "or is unable", "either", "one of the following", "couldn't create", "can't create", "cannot create", "could not create", "can't open", "cannot open", "permission denied", "lock failure", "error while writing", "command died", "virus", "spam",
	"möglicherweise", "vielleicht", "eventuell", "oder sie", // de
	"il se peut", "peut-être", "ou que vous", "ou vous", // fr
	"puede que", "quizás", "es posible que", "o no tiene", // es
	"potrebbe", "forse", "è possibile che", // it
	"talvez", "pode ser que", "é possível que", "ou você", // pt
	"mogelijk", "misschien", "wellicht", // nl
	"być może", "możliwe, że", // pl
	"возможно", "может быть", // ru
	"可能性", "かもしれ", "または", // ja
	"可能", "或者", "也许", // zh
	"수 있습니다", "또는", // ko
}

// isDead reports whether a text for people says for certain that there is no such
// address.
func isDead(text string) bool {
	text = plain(text)
	for _, form := range deadForms {
		if form.expr.MatchString(text) {
			return !containsAny(text, doubts)
		}
	}
	return false
}
