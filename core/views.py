"""What a copy must show now, rendered at send time in the words of its readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from core.body import Block, Body, Emphasis, Link, Paragraph, Quote, Strong, Text, from_json
from core.commands import command_in
from core.errors import Argument, Glimpse, Message, Secret, message
from core.intents import Button, Capabilities, Create, File, Form, Mark, Tell, View, Voice, Withdraw
from core.mediastore import MediaStore
from core.mentions import shown_account, veiled
from core.notices import Said, load
from core.parts import parted
from core.ports import Words
from core.records import Chat, CopyState, Delivery, Look, Notice, Post, Try, Verb
from core.scene import Rules, reader_language
from core.social import enclosures, relays
from core.social.about import author_line
from core.social.posts import newest_tree, short_id
from core.social.reach import feeds_of, that_may_show
from core.steps import Act, Drop, Place, Plan, keep, show, withdraw
from core.stores.unit import Unit
from core.tags import tags
from core.text import first_words
from core.types import (
    AccountRef,
    Language,
    MemberId,
    MessageRef,
    Platform,
    PostId,
    ThingId,
    ThingKind,
    Visibility,
)

#: Graphemes of a post shown where only a glimpse fits, and inside a post that quotes it.
GLIMPSE = 80
QUOTED = 200


#: Stands for the sign that begins a command until it is known which words are ours: nothing stored holds it.
_COMMAND = "\0"


class Views:
    """From rows to intents. Pure but for the reads of its unit."""

    def __init__(self, rules: Rules, words: Words, platforms: Mapping[Platform, Capabilities]) -> None:
        self._rules = rules
        self._words = words
        self._platforms = platforms
        self._store = MediaStore(rules.media.folder)

    def plan(self, unit: Unit, row: Delivery, chat: Chat, tries: Sequence[Try]) -> Plan:
        """The next call that brings this chat from what it shows to what it must show. ``tries``: the open ones."""
        if row.kind is ThingKind.NOTICE:
            return self._notice(unit, row, chat)
        place = Place(
            row=row,
            chat=chat,
            copies=[copy for copy in unit.copies.copies_in(chat.id, row.thing_id) if copy.ours],
            tries=tries,
            can=self._platforms[chat.ref.platform],
            left_out=lambda: unit.tries.left_out(chat.id, row.thing_id),
            blank=lambda whole: self._blank(chat, row.kind, whole=whole),
        )
        if row.state in (CopyState.WITHDRAWN, CopyState.REMOVED):
            return withdraw(place)
        match row.kind:
            case ThingKind.POST:
                return self._post(unit, place)
            case ThingKind.RELAY:
                return self._relay(unit, place)
            case ThingKind.FOLD:
                return self._fold(unit, place)

    def _show(self, place: Place, view: View, reply_to: MessageRef | None) -> Plan:
        def number(part: int, of: int) -> str:
            return self._words(message("footer.part", part=part, of=of), view.language)

        return show(place, parted(view, Form(place.row.form).said, place.can, number), reply_to)

    # -- posts ---------------------------------------------------------------------------------------------------

    def _post(self, unit: Unit, place: Place) -> Plan:
        chat = place.chat
        post = unit.posts.post(place.row.thing_id)
        if post is not None and post.deleted_at is None and place.copies and _left(post, chat):
            return keep(place, "its room left the community and keeps it as it is")
        if post is None or not _belongs(post, chat):
            return withdraw(place)
        if _kept_out(unit, post, chat, place.row.boosted_by):
            # What stands stays as its moderators left it; nothing newer of this author comes in.
            return keep(place, "kept out of this room")
        view = self._post_view(unit, post, place)
        return self._show(place, view, self._parent_copy(unit, post, chat))

    def _blank(self, chat: Chat, kind: ThingKind, *, whole: bool) -> View:
        """Stands for a moment where a message is only asked for, and for ever where none can be taken away."""
        language = self._room_language(chat)
        text = self._words(message("post.withdrawn" if whole else "post.part_withdrawn"), language)
        about = self._words(message("about.button"), language) if kind is ThingKind.POST else ""
        return View(voice=Voice.BOT, body=Body((Paragraph((Text(text),)),)), language=language, about=about)

    def _post_view(self, unit: Unit, post: Post, place: Place) -> View:
        chat = place.chat
        language = self._room_language(chat)
        tree = self._veiled(unit, unit.posts.revision(post.id).body, chat, language)
        parent = self._parent_words(unit, post, chat, language)
        quoted = self._quoted(unit, post, chat, language)
        by = self._boost_line(unit, post, place.row, language)
        boosted = (Paragraph((Emphasis((Text(by),)),)),) if by else ()
        files, told = self._files(unit, place, self._link(post))
        replies = self._parent_copy(unit, post, chat) is not None
        return View(
            voice=Voice.PERSON,
            body=Body((*boosted, *(() if replies else parent), *tree.blocks, *quoted, *told)),
            author=author_line(unit, self._rules, post),
            footer=self._tally(post, language),
            link=self._link(post),
            language=language,
            as_author=chat.look is Look.AUTHOR,
            portrait=self._portrait(unit, post, chat),
            parent=parent if replies else (),
            about=self._words(message("about.button"), language),
            files=files,
        )

    @staticmethod
    def _portrait(unit: Unit, post: Post, chat: Chat) -> AccountRef | None:
        """Whose picture stands beside the author's name: a picture of this platform, with the yes to its name."""
        if chat.look is not Look.AUTHOR:
            return None
        return shown_account(unit, unit.people.member(post.author_id), chat.ref.platform)

    def _boost_line(self, unit: Unit, post: Post, row: Delivery, language: Language) -> str:
        """Who passed the post on to this room, where nothing else brings it; never an own post."""
        if row.boosted_by is None or row.boosted_by == post.author_id:
            return ""
        return self._words(
            message("post.boosted", handle=unit.people.member(row.boosted_by).handle), language
        )

    def _files(self, unit: Unit, place: Place, link: str = "") -> tuple[tuple[File, ...], tuple[Block, ...]]:
        """The files that this room can show, and a line for each that it cannot."""
        can = place.can if Form(place.row.form).with_files else None
        shown = enclosures.shown(unit, self._store, place.row.thing_id, can, link)
        language = self._room_language(place.chat)
        lines = (Text(self._words(line, language)) for line in shown.lines)
        return shown.files, tuple(Paragraph((Emphasis((line,)),)) for line in lines)

    def _veiled(self, unit: Unit, stored: str, chat: Chat, language: Language) -> Body:
        """A stored text, naming nobody whose name may not cross to this chat's platform."""
        able = self._rules.capabilities(chat.ref.platform)
        return veiled(
            unit,
            lambda line: self._words(line, language),
            from_json(stored),
            chat.ref.platform,
            by_account=able is not None and able.mentions,
        )

    def _glimpse(self, unit: Unit, post: Post, chat: Chat, language: Language, length: int = GLIMPSE) -> str:
        words = first_words(self._veiled(unit, unit.posts.revision(post.id).body, chat, language), length)
        files = 0 if words else len(unit.media.of(ThingId(post.id)))
        return self._words(message("file.glimpse", n=files), language) if files else words

    def _tally(self, post: Post, language: Language) -> str:
        parts = []
        if post.score or post.guests:
            parts.append(self._words(message("footer.votes", n=post.score), language))
        if post.guests:
            parts.append(self._words(message("footer.guests", n=post.guests), language))
        return " · ".join(parts)

    def _link(self, post: Post) -> str:
        """Only a public post has a page."""
        base = self._rules.public_url.rstrip("/")
        return f"{base}/p/{short_id(post.id)}" if base and post.visibility is Visibility.PUBLIC else ""

    @staticmethod
    def _parent_copy(unit: Unit, post: Post, chat: Chat) -> MessageRef | None:
        if post.reply_to is None:
            return None
        copy = unit.copies.copy_in(chat.id, ThingId(post.reply_to))
        return copy.message if copy else None

    def _parent_words(self, unit: Unit, post: Post, chat: Chat, language: Language) -> tuple[Block, ...]:
        """The first words of the post that is answered, if this room may see them.

        They lead where that post does not stand, and where a message cannot be a reply.
        """
        if post.reply_to is None:
            return ()
        parent = unit.posts.post(post.reply_to)
        if parent is None or not _belongs(parent, chat) or _unwanted(unit, parent, chat):
            return (Quote((Paragraph((Text(self._words(message("post.parent_hidden"), language)),)),)),)
        return (Quote((self._first_words(unit, parent, chat, language, GLIMPSE),)),)

    def _quoted(self, unit: Unit, post: Post, chat: Chat, language: Language) -> tuple[Block, ...]:
        """The first words of the post that is carried inside, as they are now, if this room may see them."""
        if post.quote_of is None:
            return ()
        quoted = unit.posts.post(post.quote_of)
        if quoted is None or not _may_read(quoted, chat) or _unwanted(unit, quoted, chat):
            return (Quote((Paragraph((Text(self._words(message("post.quote_hidden"), language)),)),)),)
        words = self._first_words(unit, quoted, chat, language, QUOTED)
        link = self._link(quoted)
        return (Quote((words, *((Paragraph((Link(link, (Text(link),)),)),) if link else ()))),)

    def _first_words(self, unit: Unit, post: Post, chat: Chat, language: Language, length: int) -> Paragraph:
        handle = unit.people.member(post.author_id).handle
        words = self._glimpse(unit, post, chat, language, length)
        return Paragraph((Strong((Text(f"@{handle}"),)), Text(f" {words}")))

    # -- relayed talk and folds ------------------------------------------------------------------------------------

    def _relay(self, unit: Unit, place: Place) -> Plan:
        chat = place.chat
        relay = unit.posts.relay(place.row.thing_id)
        if relay is None or relay.deleted_at is not None:
            return withdraw(place)
        if not chat.relay:
            return keep(place, "the relay is off: what stands there stays as it is")
        account = unit.people.account_by_id(relay.account_id)
        if account.member_id and _banned(unit, account.member_id, chat):
            return keep(place, "kept out of this room")
        member = unit.people.member(account.member_id) if account.member_id else None
        parent = unit.copies.copy_in(chat.id, relay.reply_to) if relay.reply_to else None
        language = self._room_language(chat)
        files, told = self._files(unit, place)
        view = View(
            voice=Voice.PERSON,
            body=Body((*self._veiled(unit, relay.body, chat, language).blocks, *told)),
            author=relays.speaker(self._rules, relay, account, member, chat),
            language=language,
            files=files,
        )
        return self._show(place, view, parent.message if parent else None)

    def _fold(self, unit: Unit, place: Place) -> Plan:
        chat = place.chat
        folded = unit.folds.folded(chat.id, place.row.thing_id)
        posts = [(unit.posts.post(row.thing_id), row) for row in folded if row.state is CopyState.FOLDED]
        belonging = [(post, row) for post, row in posts if post is not None and _belongs(post, chat)]
        if not belonging:
            return withdraw(place)
        shown = [(post, row) for post, row in belonging if not _kept_out(unit, post, chat, row.boosted_by)]
        if not shown:
            return keep(place, "kept out of this room")
        language = self._room_language(chat)
        title = self._words(message("fold.title", n=len(shown)), language)
        blocks = (
            Paragraph((Strong((Text(title),)),)),
            *(self._fold_line(unit, post, row, chat, language) for post, row in shown),
        )
        return self._show(place, View(voice=Voice.BOT, body=Body(blocks), language=language), None)

    def _fold_line(self, unit: Unit, post: Post, row: Delivery, chat: Chat, language: Language) -> Paragraph:
        words = self._glimpse(unit, post, chat, language)
        link = self._link(post)
        tail = f"\n{link}" if link else ""
        by = self._boost_line(unit, post, row, language)
        boosted = (Emphasis((Text(by),)), Text("\n")) if by else ()
        author = Strong((Text(author_line(unit, self._rules, post)),))
        return Paragraph((*boosted, author, Text(f": {words}{tail}")))

    # -- answers -------------------------------------------------------------------------------------------------

    def _notice(self, unit: Unit, row: Delivery, chat: Chat) -> Act | Drop:
        notice = unit.notices.notice(row.thing_id)
        if notice is None or (notice.expires_at is not None and notice.expires_at < unit.now):
            return Drop(CopyState.WITHDRAWN, "too late to be said")
        message_ref = MessageRef(chat.ref, notice.message_key) if notice.message_key else None
        match notice.verb:
            case Verb.TELL:
                return self._tell(unit, row, chat, notice, message_ref)
            case Verb.MARK | Verb.UNMARK if message_ref:
                on, emoji, at = notice.verb is Verb.MARK, notice.payload, message_ref
                return Act(notice.verb, row.wanted, lambda key: Mark(key, at, emoji, on=on))
            case Verb.TAKE if unit.copies.copy_of(chat.id, notice.message_key) is not None:
                return Drop(CopyState.WITHDRAWN, "the command was put right, and is a post now")
            case Verb.TAKE if message_ref:
                gone = replace(message_ref, via=notice.payload)
                return Act(Verb.TAKE, row.wanted, lambda key: Withdraw(key, gone))
            case Verb.UNPIN if message_ref:
                notice_there = message_ref
                return Act(Verb.UNPIN, row.wanted, lambda key: Withdraw(key, notice_there, pinned=True))
            case _:
                return Drop(CopyState.WITHDRAWN, "an answer without its message")

    def _tell(
        self, unit: Unit, row: Delivery, chat: Chat, notice: Notice, reply_to: MessageRef | None
    ) -> Act | Drop:
        said = load(notice.payload)
        if notice.account_id is None:
            view = self.notice_view(unit, said, self._room_language(chat), chat)
            pin = said.pin
            return Act(
                Verb.CREATE, row.wanted, lambda key: Create(key, chat.ref, view, reply_to=reply_to, pin=pin)
            )
        account = unit.people.account_by_id(notice.account_id)
        member = unit.people.member(account.member_id) if account.member_id else None
        wanted = reader_language(self._rules, account, member, chat)
        view = self.notice_view(unit, said, Language(wanted), chat)
        if said.pin:
            return Act(
                Verb.CREATE, row.wanted, lambda key: Create(key, chat.ref, view, reply_to=reply_to, pin=True)
            )
        handle = notice.handle
        return Act(
            Verb.TELL,
            row.wanted,
            lambda key: Tell(key, chat.ref, account.ref, view, handle=handle, reply_to=reply_to),
        )

    def notice_view(self, unit: Unit, said: Said, language: Language, chat: Chat) -> View:
        """An answer in its reader's language, with commands as this platform writes them, each a text of its own."""
        capabilities = self._rules.capabilities(chat.ref.platform)
        prefix = capabilities.command_prefix if capabilities else "/"

        def glimpse(of: Glimpse) -> Argument:
            post = unit.posts.post(PostId(of.post))
            if post is None or post.deleted_at is not None:
                return "…"
            return self._glimpse(unit, post, chat, language, of.length)

        def put(line: Message) -> str:
            return self._words(self._opened(line, _COMMAND, glimpse), language)

        text = "\n".join(put(line) for line in said.lines)
        buttons = tuple(
            Button(put(c.label).replace(_COMMAND, prefix), data=c.data, private=c.private)
            for c in said.choices
        )
        return View(
            voice=Voice.BOT,
            body=Body((Paragraph(tuple(_with_commands(text, prefix))),)),
            buttons=buttons,
            text_command=f"{prefix}{said.text_command}" if said.text_command else "",
            language=language,
        )

    def _opened(self, line: Message, prefix: str, glimpse: Callable[[Glimpse], Argument]) -> Message:
        """With code and first words in the clear, and ``{p}`` for the sign that begins a command here."""
        args: dict[str, Argument] = {"p": prefix}
        for name, value in line.args.items():
            match value:
                case Secret():
                    args[name] = value.behind + self._rules.code(value.nonce)
                case Glimpse():
                    args[name] = glimpse(value)
                case Message():
                    args[name] = self._opened(value, prefix, glimpse)
                case _:
                    args[name] = value
        return Message(line.id, args)

    def _room_language(self, chat: Chat) -> Language:
        return Language(reader_language(self._rules, None, None, chat))


def _belongs(post: Post, chat: Chat) -> bool:
    """Whether this room may (still) show the post: checked again at every rendering."""
    if chat.id != post.chat_id and chat.community_id is None:
        return False
    return _may_read(post, chat)


def _may_read(post: Post, chat: Chat) -> bool:
    """Whether its words may be read in this room, whoever brings them there."""
    shown = that_may_show(post.visibility, post.community_id, post.chat_id, [chat])
    return post.deleted_at is None and bool(shown)


def _left(post: Post, chat: Chat) -> bool:
    """Whether this room got the post as part of a community that it left since."""
    return chat.community_id is None and chat.id != post.chat_id


def _kept_out(unit: Unit, post: Post, chat: Chat, boosted_by: MemberId | None = None) -> bool:
    """Whether a moderator here banned its author, or who passed it on, or blocked it since it was posted."""
    if chat.id == post.chat_id:
        return False
    if _banned(unit, post.author_id, chat) or (boosted_by is not None and _banned(unit, boosted_by, chat)):
        return True
    blocks = unit.communities.blocks_of(chat.id)
    if not blocks:
        return False
    own = feeds_of(post.author_id, tags(newest_tree(unit, post.id)))
    boosted = [] if boosted_by is None else feeds_of(boosted_by, ())
    return not set(blocks).isdisjoint((*own, *boosted))


def _banned(unit: Unit, author: MemberId, chat: Chat) -> bool:
    return chat.community_id is not None and unit.communities.banned(chat.community_id, author)


def _unwanted(unit: Unit, post: Post, chat: Chat) -> bool:
    """Whether this room took the post away or keeps it out: then none of its words come back in a quote."""
    row = unit.outbox.delivery(chat.id, ThingId(post.id))
    taken = row is not None and row.state in (CopyState.REMOVED, CopyState.WITHDRAWN)
    return taken or _kept_out(unit, post, chat)


def _with_commands(text: str, prefix: str) -> Iterator[Text]:
    """The text cut round the commands that our words name: what people wrote among them stays theirs."""
    first, *others = text.split(_COMMAND)
    if first:
        yield Text(first)
    for other in others:
        command = command_in(other)
        yield Text(prefix + command)
        if rest := other.removeprefix(command):
            yield Text(rest)
