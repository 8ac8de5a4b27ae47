"""What the chat page says, in English and Chinese. Pure."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "new": ("New conversation", "新对话"),
    "kept": (
        "Conversations are kept in this browser only. The bin above one deletes it.",
        "对话只保存在此浏览器中。点击对话上方的垃圾桶即可删除。",
    ),
    "service": ("Service", "服务"),
    "hint": ("Ask something. Enter sends, Shift+Enter starts a new line.", "请输入问题。回车发送，Shift+回车换行。"),
    "placeholder": (
        "## Chat with your models\n\nWhat they answer appears here.",
        "## 与模型对话\n\n模型的回答会显示在这里。",
    ),
    "settings": ("Parameters", "参数"),
    "system": ("System prompt", "系统提示词"),
    "temperature": ("Temperature (0 always takes the likeliest token)", "温度（0 表示总取概率最大的 token）"),
    "top_p": ("Top-p", "Top-p（核采样）"),
    "penalty": ("Repetition penalty (1 for none)", "重复惩罚（1 表示没有）"),
    "length": ("Max tokens of an answer", "回答的最大 token 数"),
    "empty": ("(an empty answer)", "（空回答）"),
    "login": ("Log in to chat. 请登录。", "请登录。Log in to chat."),
    "down": ("{service} does not answer", "{service} 没有响应"),
    "down_cause": (
        "It may be stopped, or starting again by itself. `invoke status` shows it, `invoke serve` brings it up. "
        "Your conversation is kept: ask again, or press ↻, once it is back.",
        "服务可能已停止，或正在自动重启。`invoke status` 查看状态，`invoke serve` 启动服务。"
        "对话已保留：服务恢复后重新提问，或点击 ↻ 即可。",
    ),
    "starting": ("{service} is starting", "{service} 正在启动"),
    "starting_cause": (
        "It is in the phase “{phase}”. Your conversation is kept: ask again, or press ↻, in a while.",
        "目前阶段：“{phase}”。对话已保留：请稍后重新提问，或点击 ↻。",
    ),
    "unreachable": ("The host of {service} cannot be reached", "无法连接 {service} 所在的主机"),
    "unreachable_cause": (
        "{detail} The way there is tried again with every question. Your conversation is kept.",
        "{detail} 每次提问都会重新尝试连接。对话已保留。",
    ),
    "broken": ("{service} broke off", "{service} 中断了回答"),
    "too_long": ("This conversation is too long for {service}", "对话过长，{service} 无法处理"),
    "too_long_cause": (
        "The model takes {limit} tokens, question and answer together, and the conversation with its system prompt "
        "already has {count}. Begin a new one (the bin above the conversation), undo the last turns, or shorten the "
        "question or the system prompt.",
        "模型最多处理 {limit} 个 token（问题与回答合计），而对话连同系统提示词已有 {count} 个。"
        "请清空对话（右上角的垃圾桶）、撤销最近几轮，或缩短问题或系统提示词。",
    ),
    "refused": ("{service} refuses the API key", "{service} 拒绝了 API 密钥"),
    "refused_cause": (
        "It was changed, perhaps. `invoke webui` reads it when it starts: start it again. For a page that the host "
        "keeps, `invoke serve` brings service and key together.",
        "密钥可能已更换。`invoke webui` 在启动时读取密钥：请重新启动它。主机上常驻的页面，请运行 `invoke serve` "
        "使服务与密钥一致。",
    ),
    "failed": ("{service} could not answer", "{service} 无法回答"),
    "failed_cause": ("It says: {detail}", "它返回：{detail}"),
}

LANGUAGES = ("en", "zh")


def say(language: str, key: str, **values: object) -> str:
    """Give words in a language of `LANGUAGES`."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def language_of(accepted: str) -> str:
    """The language that a browser likes best, by its Accept-Language header: Chinese, or else English."""
    return "zh" if accepted.strip().lower().startswith("zh") else "en"
