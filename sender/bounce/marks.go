package bounce

// The tables of this file tell what a text is by phrases: of mail systems that follow
// no standard, and of people who are away. A phrase is in lower case, with one blank
// between words and straight quotes, as plain makes a text. Each row is tried by
// marks_test.go in a message of its own.

// daemons are what mail systems are called in From.
var daemons = []string{
	"mailer-daemon", "mailerdaemon", "mailer_daemon", "postmaster@", "post_master@", "mdaemon@", "mail-daemon", "maildaemon",
	"mail delivery sub", "mail delivery system", "mail deliver system", "mail delivery service", "mail.delivery.system@", "delivery subsystem", "internet mail delivery",
	"mail administrator", "system administrator", "mail system", "mail router", "postmaster", "bounce@", "ndr@", "mmsc ndr", "smtp_mail_service", "mailsweeper",
	"microsoftexchange", "do-not-reply@mimecast", "mailer daemon", "imss@", "interscan", "smtp gateway", "symantec_antivirus", "courier mail", "mailserver", "mail server",
}

// bounceSubjects are subjects of messages that came back, or are late.
var bounceSubjects = []string{
	"undeliver", "undelivered", "undeliverable", "returned mail", "returned email", "delivery failure", "delivery failed", "delivery has failed", "delivery error", "failure notice",
	"delivery status notification", "delivery notification", "delivery report", "mail delivery failed", "mail delivery failure", "message delivery failure", "mail delivery problem",
	"failure delivery", "failed delivery", "failed mail", "mail failed", "mail failure", "mail error", "mail system error", "mail delivery warning", "mail not delivered", "not delivered",
	"could not be delivered", "cannot be delivered", "couldn't be delivered", "wasn't delivered", "was not delivered", "non-delivery", "nondeliverable", "nondelivery", "non delivery report",
	"returning message to sender", "returned to sender", "return to sender", "returning to sender", "warning: message", "warning: could not send", "warning--could not send", "delayed mail", "message delayed",
	"message status - undeliverable", "processing error", "permanent delivery failure", "automatically rejected mail", "error sending your mail", "rejected:", "message rejected", "delivery incomplete",
	"message you sent blocked", "user unknown", "nameserver error", "delivery problem", "mail delivery status",
	"unzustellbar", "nicht zugestellt", "zustellung fehlgeschlagen", "unzustellbare nachricht", "zustellfehler", "rückläufer", // de
	"non remis", "non délivré", "échec de la remise", "échec de remise", "impossible de remettre", "non distribué", "utilisateur non recensé", // fr
	"no entregado", "no se puede entregar", "no se pudo entregar", "error de entrega", "fallo en la entrega", "devuelto", // es
	"non recapitabile", "mancato recapito", "recapito non riuscito", "impossibile recapitare", "messaggio non consegnato", "mancata consegna", // it
	"não entregue", "não pôde ser entregue", "falha na entrega", "falha de entrega", "não é possível entregar", "mensagem devolvida", // pt
	"onbestelbaar", "niet bezorgd", "kan niet worden bezorgd", "niet afgeleverd", // nl
	"niedostarczon", "nie dostarczono", "nie można dostarczyć", "zwrot wiadomości", // pl
	"не доставлен", "недоставлен", "не удалось доставить", "не может быть доставлен", "сообщение об ошибке доставки", // ru
	"配信できません", "配信不能", "配信エラー", "送信できません", "送信エラー", "メールエラー", "メールをお届けできません", "不達", // ja
	"退信", "投递失败", "无法送达", "未送达", "無法傳遞", "无法投递", "發送失敗", "邮件被退回", "系统退信", // zh
	"배달되지 않음", "배달할 수 없", "전송 실패", "반송", "배달 실패", // ko
}

// bounceOpenings are what mail systems say before they name the recipients.
var bounceOpenings = []string{
	"this is the qmail-send program", "i wasn't able to deliver", "was not able to deliver your message", "were unable to deliver your message", "was unable to deliver your message", "weren't able to deliver", // qmail and its kin
	"unable to deliver message to the following address", "were not able to deliver your message", "unable to deliver your message", "unable to deliver mail", "having trouble delivering", "had trouble delivering your message",
	"your message could not be delivered", "could not be delivered to", "cannot be delivered to the following", "couldn't be delivered to", "wasn't delivered to", "was not delivered to", "has not been delivered to", "your mail message to the following address",
	"message that you sent could not be delivered", "message that you sent has not yet been delivered", "this message was created automatically by mail delivery software", "following address(es) failed", "addresses had permanent fatal errors", "addresses had transient non-fatal errors", // Exim, Sendmail
	"did not reach the following recipient", "delivery to the following recipient", "delivery to these recipients", "your message did not reach", "message wasn't delivered to anyone", "message to the following recipient", "following recipients cannot be reached", "following recipient(s) cannot be reached", "following recipients could not be reached", "following recipient(s) could not be reached", // Exchange, Gmail
	"this is the mail system at host", "this is the postfix program at host", "program at host", "i'm sorry to have to inform you that", "this is the mail delivery agent at", "this is the machine generated message from mail service", "this is an automatically generated delivery status notification",
	"the following message to <", "message was undeliverable", "could not deliver", "couldn't deliver", "failed to deliver", "delivery failed", "undeliverable address", "failed recipients", "failed addresses follow", "failed recipient", "delivery has failed to these", "unable to relay for", "unknown user:", "user mailbox exceeds allowed size", "user's mailbox is full", "message is undeliverable", "mail could not be delivered", "email could not be delivered", "mail cannot be delivered", "recipients returned permanent errors", "returned as undeliverable", "being returned to you", "is being returned", "an error occurred while sending", "your e-mail message was not delivered", "message from yahoo.com",
	"the email below could not be delivered", "returned because", "your message was not delivered", "mail was not delivered", "will be retried", "has been returned", "reasons why mail delivery failed", "reports the following problem", "rejected your message", "message was rejected", "message could not be sent",
	"konnte nicht zugestellt werden", "konnte an folgende", "konnte an einen oder mehrere", "nicht zugestellt", "fehler bei der nachrichtenzustellung", "zustellung an folgende", // de
	"n'a pas pu être remis", "n'a pu être remis", "n'a pas pu etre", "n'a pas pu être délivré", "n'a pas été remis", "n'est pas parvenu aux destinataires", "échec de la remise", // fr
	"no pudo ser entregado", "no se pudo entregar", "no se ha podido entregar", "no ha podido ser entregado", "error al entregar", "no se entregó", // es
	"non è stato possibile recapitare", "non è stato recapitato", "impossibile recapitare", "non ha raggiunto", "non può essere consegnato", "non è stato consegnato", // it
	"não pôde ser entregue", "nao pode ser entregue", "não foi possível entregar", "não foi entregue", "falha na entrega", // pt
	"kon niet worden bezorgd", "kon niet worden afgeleverd", "kan niet worden bezorgd", "niet worden bezorgd", // nl
	"nie mogła zostać dostarczona", "nie mogla zostac dostarczona", "nie została dostarczona", "nie można dostarczyć", "nie udało się dostarczyć", // pl
	"не может быть доставлен", "не удалось доставить", "невозможно доставить", "не было доставлено", "не доставлено", // ru
	"配信できませんでした", "お届けできませんでした", "送信できませんでした", "配信できません", "宛先不明", // ja
	"无法送达", "投递失败", "无法投递", "無法傳送", "未能送达", "无法发送到", "被退回", // zh
	"배달하지 못했습니다", "전달할 수 없습니다", "배달할 수 없습니다", "전송하지 못했습니다", "전달되지 못했습니다", // ko
}

// delays are what a notice says whose message is still being tried.
var delays = []string{
	"delayed mail (still being retried)", "this is a warning only", "has not yet been delivered", "is still being retried", "will be retried until", "will continue to be attempted", "no action is required on your part", "you do not need to resend your message",
	"delivery attempts will continue", "delivery will be attempted", "will keep trying", "continue trying", "still trying to deliver", "will try again", "message delayed", "delivery status notification (delay)", "delivery status notification (mail delivery delayed)", "delivery is delayed", "has been delayed", "been delayed", "was delayed", "warning: message delayed", "warning: could not send", "warning--could not send", "not been able to deliver your message yet", "delivery incomplete", "there was a temporary problem", "transient non-fatal errors", "will be reattempted", "delivery status notification: warning", "mail delivery warning", "temporarily undelivered",
	"noch nicht zugestellt", "verzögert", "wird weiterhin versucht", // de
	"retardé", "nouvelles tentatives", "n'a pas encore été remis", // fr
	"se retrasó", "retrasado", "se seguirá intentando", // es
	"ritardo nella consegna", "non è ancora stato recapitato", // it
	"entrega adiada", "atraso na entrega", "continuará tentando", // pt
	"vertraagd", "nog niet bezorgd", // nl
	"opóźnion", "jeszcze nie została dostarczona", // pl
	"задержан", "попытки доставки будут продолжены", // ru
	"配信が遅れて", "配信が遅延", // ja
	"延迟", "延遲", // zh
	"지연", // ko
}

// givenUp are what a notice says that gave up after it had tried: a delay no more.
var givenUp = []string{
	"could not be delivered for more than 4 day", "giving up", "given up", "not going to try again", "has been in the queue too long", "been in the queue too long", "message expired", "retry timeout exceeded", "retry time exceeded", "failed permanently", "permanent error", "permanent failure", "returned to sender", "could not send message for past", "cannot send message for", "removed from the queue", "delivery time expired", "not been collected",
}

// returnedMarks are the lines below which a notice quotes the message that it returns.
var returnedMarks = []string{
	"below this line is a copy of the message", "below the next line is a copy of the message", "this is a copy of the message", "this is a copy of your message", "here is a copy of the first part of the message", "a copy of the message follows", "copy of the original message below this line",
	"original message follows", "original message header", "original message headers", "start of returned message", "returned mail --", "returned message --", "returned message follows", "message header follows", "message headers follow", "header of the source mail", "unsent message follows", "undelivered message follows",
	"-----original message", "----- original message", "original message attached", "original message as received", "the original message was:", "included is a copy of the message header", "message text follows", "text of message:", "original headers:", "headers of the original message", "the header of the original message is following", "the first 50 lines of the original message", "body of message generated response", "transcript of message follows", "begin original message", "begin forwarded message", "unsent message below", "the attached message", "your original message", "original mail as follows", "message contents follow", "old message:", "this message is looping: it already has your",
	"ursprüngliche nachricht", "originalnachricht", "kopie der nachricht", "es folgt die kopie", "kopfzeilen der nachricht", // de
	"message d'origine", "message original", "copie du message", "en-têtes de message d'origine", // fr
	"mensaje original", "copia del mensaje", "encabezados de mensajes originales", // es
	"messaggio originale", "copia del messaggio", "intestazioni originali del messaggio", // it
	"mensagem original", "cópia da mensagem", // pt
	"oorspronkelijk bericht", "oorspronkelijke bericht", "kopie van het bericht", // nl
	"oryginalna wiadomość", "kopia wiadomości", // pl
	"исходное сообщение", "копия сообщения", "ниже этой линии", // ru
	"元のメッセージ", "以下は元のメール", "送信されたメールのヘッダ", // ja
	"原邮件", "原始邮件", "原信内容", "原始郵件", // zh
	"원본 메시지", "원본 메일", // ko
}

// autoSubjects are subjects that vacation programs and the like write.
var autoSubjects = []string{
	"out of office", "out of the office", "out-of-office", "automatic reply", "automated reply", "automatic response", "autoreply", "auto-reply", "auto reply", "autoresponse", "autorespons", "auto response", "auto: ", "vacation reply", "i'm on vacation", "i am on vacation", "on annual leave", "away from the office", "away from my", "i am away", "i'm away", "away until", "thank you for your e-mail", "thank you for your email", "thank you for contacting", "we have received your", "ticket received", "read receipt", "return receipt",
	"abwesenheitsnotiz", "abwesenheit:", "automatische antwort", "eingangsbestätigung", "urlaubsbenachrichtigung", // de
	"absence du bureau", "message d'absence", "absent du bureau", "réponse automatique", "accusé de lecture", "accusé de réception", // fr
	"respuesta automática", "fuera de la oficina", "fuera de oficina", "acuse de recibo", // es
	"risposta automatica", "fuori sede", "fuori ufficio", // it
	"resposta automática", "fora do escritório", "aviso de ausência", // pt
	"automatisch antwoord", "automatisch bericht", "afwezigheid", "niet op kantoor", // nl
	"automatyczna odpowiedź", "autoodpowiedź", "poza biurem", // pl
	"автоответ", "автоматический ответ", "вне офиса", "в отпуске", // ru
	"自動応答", "自動返信", "不在通知", "不在のお知らせ", // ja
	"自动回复", "自動回覆", "自动答复", // zh
	"자동 응답", "자동 회신", "부재중", "부재 중", // ko
}

// autoTexts are what people let programs say for them.
var autoTexts = []string{
	"i am out of the office", "i'm out of the office", "i will be out of the office", "am currently out of the office", "i am currently away", "i am away", "i am on vacation", "i'm on vacation", "on annual leave", "i am on leave", "i will be on vacation", "maternity leave", "limited access to email", "limited access to my email", "will reply when i return", "will respond when i return", "this is an automated response", "this is an automatic reply", "this is an automated reply", "i no longer work", "no longer works for", "has left the company", "is no longer with the company", "thank you for your message. i", "your message has been received and",
	"ich bin derzeit nicht im büro", "ich bin nicht im büro", "ich bin im urlaub", "bin ich nicht im hause", "bin erst wieder am", "ihre e-mail wird nicht weitergeleitet", "nicht mehr im unternehmen", // de
	"je suis absent", "je suis actuellement absent", "je suis en congé", "actuellement en congés", // fr
	"estoy fuera de la oficina", "estaré fuera de la oficina", "estoy de vacaciones", "me encuentro fuera", // es
	"sono fuori ufficio", "sarò assente", "sono in ferie", "sarò fuori ufficio", // it
	"estou fora do escritório", "estarei ausente", "estou de férias", // pt
	"ik ben niet op kantoor", "ik ben afwezig", "ben ik afwezig", "ik ben op vakantie", // nl
	"jestem na urlopie", "przebywam na urlopie", "jestem nieobecn", "będę nieobecn", // pl
	"я в отпуске", "нахожусь в отпуске", "меня не будет в офисе", // ru
	"不在にしております", "休暇をいただいて", "夏季休業", // ja
	"我正在休假", "我目前不在办公室", "您的邮件已收到", // zh
	"휴가 중", "자리를 비웠", // ko
}

// challenges ask the sender to prove that a person wrote the message.
var challenges = []string{
	"please confirm that you sent", "confirm your message", "verify that you are a real person", "verify that you are human", "prove that you are human", "to release your message", "i apologize for this automatic reply", "challenge/response", "challenge-response", "spam arrest", "spamarrest", "boxbe", "click the link below to be added to", "added to my guest list", "added to the guest list", "awaiting my approval", "awaiting your confirmation", "requires confirmation", "bluebottle", "complete this verification", "antispam.uol", "just this once, click", "one-time authentication", "one time authentication",
}
