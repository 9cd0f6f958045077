// A line at the foot of the window that says what just happened, and goes away.
export type Notice = { id: number; text: string; bad: boolean };

let list = $state<Notice[]>([]);
let last = 0;

export const notices = {
  get list(): readonly Notice[] {
    return list;
  },
};

export function notify(text: string, bad = false): void {
  const notice = { id: ++last, text, bad };
  list = [...list.slice(-2), notice];
  setTimeout(() => dismiss(notice.id), bad ? 10_000 : 2_500);
}

export function dismiss(id: number): void {
  list = list.filter((notice) => notice.id !== id);
}
