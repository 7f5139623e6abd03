"""What WhatsApp itself writes into an exported chat, in the languages of phones; what people wrote is left."""

# ruff: noqa: RUF001

import re

from training.exports.whatsapp_header import INVISIBLE

_MAX_MARK_CHARACTERS = 300
_MACHINE = "\u200e"  # iOS sets it before whatever nobody typed


def _phrases(text: str) -> frozenset[str]:
    return frozenset(phrase.strip().casefold() for phrase in re.split(r"[|\n]", text) if phrase.strip())


_DELETED = _phrases("""
    This message was deleted | You deleted this message
    Diese Nachricht wurde gelöscht | Du hast diese Nachricht gelöscht
    Se eliminó este mensaje | Este mensaje fue eliminado | Eliminaste este mensaje
    Mensagem apagada | Esta mensagem foi apagada | Você apagou esta mensagem | Esta mensagem foi eliminada
    Ce message a été supprimé | Vous avez supprimé ce message
    Questo messaggio è stato eliminato | Hai eliminato questo messaggio
    Dit bericht is verwijderd | Dit bericht werd verwijderd | U hebt dit bericht verwijderd
    Je hebt dit bericht verwijderd | Meddelandet raderades | Det här meddelandet raderades
    Du raderade det här meddelandet | Det här meddelandet togs bort | Du tog bort det här meddelandet
    Denne besked blev slettet | Du slettede denne besked
    Denne meldingen ble slettet | Du slettet denne meldingen
    Tämä viesti poistettiin | Poistit tämän viestin
    Ta wiadomość została usunięta | Usunięto tę wiadomość | Ta wiadomość została skasowana
    Данное сообщение удалено | Вы удалили данное сообщение | Сообщение удалено
    Це повідомлення було видалено | Ви видалили це повідомлення
    Bu mesaj silindi | Bu mesajı sildiniz
    Pesan ini dihapus | Pesan ini telah dihapus | Anda menghapus pesan ini | Mesej ini telah dipadam
    Tato zpráva byla odstraněna | Tato zpráva byla smazána | Ezt az üzenetet törölték
    Acest mesaj a fost șters | Αυτό το μήνυμα διαγράφηκε
    הודעה זו נמחקה | מחקת הודעה זו | تم حذف هذه الرسالة | لقد حذفت هذه الرسالة | این پیام حذف شد
    यह संदेश हटाया गया | यह मैसेज हटाया गया | आपने यह मैसेज हटाया
    此消息已删除 | 你已删除这条消息 | 此訊息已刪除 | 您已刪除此訊息
    このメッセージは削除されました | 삭제된 메시지입니다 | 메시지가 삭제되었습니다
    Tin nhắn này đã bị xóa
""")

_EDITED = _phrases("""
    This message was edited | Diese Nachricht wurde bearbeitet | Se editó este mensaje
    Este mensaje fue editado | Mensagem editada | Esta mensagem foi editada
    Ce message a été modifié | Questo messaggio è stato modificato | Dit bericht is bewerkt
    Meddelandet redigerades | Denne besked blev redigeret | Denne meldingen ble redigert
    Tätä viestiä muokattiin | Wiadomość edytowano | Сообщение изменено | Данное сообщение изменено
    Повідомлення змінено | Bu mesaj düzenlendi | Pesan ini diedit | Mesej ini telah diedit
    Tato zpráva byla upravena | Üzenet szerkesztve | Acest mesaj a fost editat
    ההודעה נערכה | تم تعديل هذه الرسالة | यह संदेश संपादित किया गया
    此消息已编辑 | 此訊息已編輯 | 이 메시지는 수정되었습니다
""")

_FILE_ATTACHED = _phrases("""
    file attached | Datei angehängt | archivo adjunto | arquivo anexado | ficheiro anexado | fichier joint
    file allegato | bestand bijgevoegd | bifogad fil | fil vedhæftet | fil vedlagt | tiedosto liitetty
    załączono plik | plik dołączony | файл добавлен | файл додано | dosya ekli | berkas terlampir
    fail dilampirkan | soubor byl přiložen | fájl csatolva | fișier atașat | συνημμένο αρχείο
    הקובץ מצורף | الملف مرفق | फ़ाइल संलग्न है | 文件附件 | 檔案附件 | 添付ファイル | 파일 첨부됨 | tệp đính kèm
""")

# What follows the kind of media: `image omitted`, `Bild weggelassen`, ...
_OMITTED = re.compile(
    r"[^\W\d_][\w ]{1,30} (?:omitted|weggelassen|omitid[oa]|omiss[oa]|ocultad?[oa]|omise?|absente?|omess[oa]"
    r"|weggelaten|utelämna[dt]e?s?|udeladt|utelatt|jätetty pois|pominięt[oeya]|vynechán[oay]?|kihagyva|omis[ăe]"
    r"|dahil edilmedi|опущен[оыа]?|отсутствует|пропущен[оыа]?|вилучено|παραλείφθηκε|הושמט[הו]?"
    r"|tidak disertakan|bị bỏ qua|छोड़ा गया|생략)"
    r"|[\w ]{1,10}(?:已略去|已忽略|略過|は省略されました)|(?:تم استبعاد|لم يتم تضمين) [\w ]{1,20}",
    re.IGNORECASE,
)
_ANGLED = re.compile(r"<[^<>\n]{4,60}>")  # `<Media omitted>` in any language
_NOTHING_SAID = re.compile(
    r"null|(?:location|standort|ubicación|localização|position|posizione|locatie): https?://\S+"
    r"|live location shared|missed (?:voice|video) call|waiting for this message.*",
    re.IGNORECASE,
)

_ATTACHED = re.compile(
    "\u200e<[^<>\n]{2,200}>"  # iOS: `<attached: 1-PHOTO.jpg>`, `<This message was edited>`
    r"|^<[^<>\n:]{2,30}: [^<>\n]{1,200}\.\w{2,5}>"
    "|^\u200e?[^\n]{1,200}" + r"\.\w{2,5} \((?P<phrase>[^()\n]{4,30})\)$",
    re.MULTILINE,
)
_ENDS_EDITED = re.compile(r"\s*<(?P<phrase>[^<>\n]{4,60}?)\.?>\s*\Z")
_APPENDED = re.compile("\u200e[^\u200e\n]{1,60}\\Z")  # a caption and, behind it, what it belongs to

_ENCRYPTED = re.compile(
    r"end-to-end|ende-zu-ende|extremo a extremo|ponta a ponta|bout en bout|totalsträck|päästä päähän"
    r"|uçtan uca|сквозн|наскрізн|végpontok közötti|integral criptate|άκρο σε άκρο|מקצה לקצה|بين الطرفين"
    r"|端到端|端對端|エンドツーエンド|종단간|đầu cuối|एन्ड-टू-एन्ड|एंड-टू-एंड|mellem afsender og modtager",
    re.IGNORECASE,
)


def plain(text: str) -> tuple[str, bool]:
    """A message's text without what WhatsApp wrote into it, and whether all of it is a notice by WhatsApp."""
    if "<" in text or "(" in text:
        text = _ENDS_EDITED.sub(_without_edited, _ATTACHED.sub(_without_file, text))
    if text.startswith(_MACHINE):
        return "", not _is_empty(_shown(text))
    shown = _shown(_APPENDED.sub("", text) if _MACHINE in text else text)
    return ("" if _is_empty(shown) else shown), False


def _shown(text: str) -> str:
    return (text if text.isascii() else INVISIBLE.sub("", text)).strip()


def tells_of_encryption(text: str) -> bool:
    """Whether a text is like the notice that every chat begins with; old exports give it a name."""
    return _ENCRYPTED.search(text) is not None


def _without_file(match: re.Match[str]) -> str:
    phrase = match["phrase"]
    return "" if phrase is None or phrase.casefold() in _FILE_ATTACHED else match[0]


def _without_edited(match: re.Match[str]) -> str:
    return "" if match["phrase"].casefold() in _EDITED else match[0]


def _is_empty(text: str) -> bool:
    """Whether a text only stands for media, or for what was deleted."""
    if len(text) > _MAX_MARK_CHARACTERS:
        return False
    if text.rstrip(".。").casefold() in _DELETED:
        return True
    return any(mark.fullmatch(text) for mark in (_ANGLED, _OMITTED, _NOTHING_SAID))
