// Conversations, kept in this browser and nowhere else: one item of localStorage each, so that tabs do not overwrite
// each other's. A tab remembers which one is open over a reload.
const chats = {
    PREFIX: "vllm-chat:",
    current: null,
    shown: null, // the element that lists them
    atEnd: true, // whether its end is in sight
    began: false, // whether there has been anything to keep: a page that loads shows nothing at first

    // crypto.randomUUID is for HTTPS and loopback only.
    fresh: () => `${Date.now()}-${Math.random()}`,

    // Newest first.
    all() {
        return Object.keys(localStorage)
            .filter((key) => key.startsWith(this.PREFIX))
            .map((key) => ({ id: key.slice(this.PREFIX.length), ...JSON.parse(localStorage.getItem(key)) }))
            .sort((one, other) => other.at - one.at);
    },

    // List them in `element`; `open` is called once one of them is current. That of before a reload is opened.
    list(element, open) {
        this.shown = element;
        element.addEventListener("click", (event) => {
            const entry = event.target.closest("button");
            if (!entry || this.isBusy()) return event.stopPropagation();
            this.choose(entry.dataset.id);
            this.fold();
            open();
        });
        window.addEventListener("storage", () => this.show());
        this.follow(document.querySelector("#conversation .bubble-wrap"));
        this.choose(sessionStorage.getItem(this.PREFIX) ?? this.fresh());
        if (this.messages().length) open();
        if (!this.isNarrow()) this.toggle();
    },

    show() {
        const entries = this.all().map(({ id, messages }) => {
            const entry = document.createElement("button");
            entry.dataset.id = id;
            entry.textContent = entry.title = this.text(messages[0]).slice(0, 200);
            entry.setAttribute("aria-current", id === this.current);
            return entry;
        });
        this.shown.replaceChildren(...entries);
    },

    text({ content }) {
        return typeof content === "string" ? content : content.map((part) => part.text ?? "").join("");
    },

    choose(id) {
        this.current = id;
        this.atEnd = true;
        sessionStorage.setItem(this.PREFIX, id);
        this.show();
    },

    // The list is folded when the page comes; where there is room beside the conversation it is shown.
    isNarrow: () => matchMedia("(max-width: 768px)").matches,
    toggle: () => document.querySelector(".sidebar .toggle-button").click(),
    fold() {
        if (this.isNarrow()) this.toggle();
    },

    // Keep the end of the conversation in sight while it grows, unless its reader has scrolled up.
    follow(shown) {
        let top = 0;
        shown.addEventListener("scroll", () => {
            if (shown.scrollTop < top) this.atEnd = false;
            if (shown.scrollHeight - shown.clientHeight - shown.scrollTop < 50) this.atEnd = true;
            top = shown.scrollTop;
        });
        const sizes = new ResizeObserver(() => this.atEnd && shown.scrollTo(0, shown.scrollHeight));
        const watch = () => [...shown.children].forEach((part) => sizes.observe(part));
        new MutationObserver(watch).observe(shown, { childList: true });
        watch();
    },

    // Give what a new conversation begins with.
    begin() {
        if (this.isBusy()) return this.messages();
        this.choose(this.fresh());
        this.fold();
        return [];
    },

    // While an answer comes it belongs to the conversation that is open.
    isBusy: () => Boolean(document.querySelector("button.stop-button")),

    messages() {
        return JSON.parse(localStorage.getItem(this.PREFIX + this.current))?.messages ?? [];
    },

    // Write down what the open conversation has become; an empty one is forgotten.
    keep(messages) {
        if (messages.at(-1)?.role === "user") this.atEnd = true;
        this.began ||= messages.length > 0;
        if (!this.began || JSON.stringify(messages) === JSON.stringify(this.messages())) return;
        if (!messages.length) localStorage.removeItem(this.PREFIX + this.current);
        else this.write(this.PREFIX + this.current, JSON.stringify({ at: Date.now(), messages }));
        this.show();
    },

    // A browser gives about five million characters: the oldest conversations make room.
    write(key, value) {
        for (;;) {
            try {
                return localStorage.setItem(key, value);
            } catch (error) {
                const oldest = this.all().findLast(({ id }) => id !== this.current);
                if (!oldest) throw error;
                localStorage.removeItem(this.PREFIX + oldest.id);
            }
        }
    },
};

// Gradio would send an empty question.
for (const kind of ["keypress", "click"]) {
    const listen = (event) => {
        const sends = event.key === "Enter" ? !event.shiftKey : event.target.closest(".submit-button");
        const box = event.target.closest(".gr-group:has(> .gr-group textarea)")?.querySelector("textarea");
        if (!sends || box?.value.trim() !== "") return;
        event.preventDefault();
        event.stopImmediatePropagation();
    };
    document.addEventListener(kind, listen, true);
}
